from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from digits_project.common.errors import BadInput
from models_app.training import engines


class ModelsAppConfig(AppConfig):
    name = "models_app"
    verbose_name = "Models"

    def ready(self) -> None:
        """Pass the settings on to the engines."""
        pythons = {"torch": settings.DIGITS_TORCH_PYTHON} if settings.DIGITS_TORCH_PYTHON else {}
        try:
            engines.configure(settings.DIGITS_ENGINE, pythons)
        except BadInput as wrong:
            raise ImproperlyConfigured(f"DIGITS_ENGINE: {wrong}; or auto") from wrong
