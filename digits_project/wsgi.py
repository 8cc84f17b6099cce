"""The web process: `gunicorn digits_project.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from digits_project.polling import Repeated

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
application = Repeated(get_wsgi_application())
