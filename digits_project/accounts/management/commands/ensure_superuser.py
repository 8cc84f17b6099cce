"""`manage.py ensure_superuser`"""

import secrets

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Create the superuser `admin` with a random password, and print the password once. If there is a superuser "
        "already, do nothing and print nothing. To set another password: manage.py changepassword admin"
    )

    def handle(self, **options):
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", password=password)
        self.stdout.write(password)
