"""The web process: `gunicorn digits_project.wsgi`."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from digits_project.answering import limit_waits
from digits_project.polling import Repeated
from digits_project.prefix import UnderPrefix

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
limit_waits()
application = UnderPrefix(Repeated(get_wsgi_application()), settings.DIGITS_URL_PREFIX)
