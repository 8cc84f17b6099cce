from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "digits_project.jobs"
    label = "jobs"

    def ready(self) -> None:
        """Let each app declare how the home page lists its jobs."""
        autodiscover_modules("pages")
