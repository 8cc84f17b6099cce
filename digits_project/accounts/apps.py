from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "digits_project.accounts"

    def ready(self):
        from django.contrib.auth.signals import user_logged_in, user_login_failed  # needs the app registry

        from digits_project.accounts import audit, checks, login_throttling, roles  # noqa: F401 - registers checks

        post_migrate.connect(roles.make_groups, sender=self)
        user_logged_in.connect(audit.on_login)
        user_login_failed.connect(login_throttling.on_failure)
