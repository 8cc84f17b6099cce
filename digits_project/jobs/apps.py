from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "digits_project.jobs"
    label = "jobs"
