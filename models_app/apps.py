from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from datasets.report.vectors import feature_network
from digits_project.common.errors import BadInput
from models_app.training import engines
from models_app.training.features.report_network import NETWORK


class ModelsAppConfig(AppConfig):
    name = "models_app"
    verbose_name = "Models"

    def ready(self) -> None:
        """Pass the settings on to the engines, and the network to the reports of datasets."""
        feature_network.register(NETWORK)
        pythons = {"torch": settings.DIGITS_TORCH_PYTHON} if settings.DIGITS_TORCH_PYTHON else {}
        try:
            engines.configure(settings.DIGITS_ENGINE, pythons)
        except BadInput as wrong:
            raise ImproperlyConfigured(f"DIGITS_ENGINE: {wrong}; or auto") from wrong
