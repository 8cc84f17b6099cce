"""The WSGI application of the web process: `gunicorn digits_project.wsgi`."""

import os
import tempfile

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection

from datasets.imagedb.images import decoding
from digits_project.common import row_cache
from digits_project.common.database_deadlines import limit_waits
from digits_project.common.shared_memory.web_processes import shared
from digits_project.server.url_prefix import UnderPrefix
from digits_project.stack.home import keep_others_from_writing, remove_abandoned_uploads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
keep_others_from_writing()
limit_waits()
decoding.divide_budget(shared().count)
row_cache.follow(
    connect=lambda: connection.get_new_connection(connection.get_connection_params()),
    in_transaction=lambda: connection.in_atomic_block,
)
tempfile.tempdir = str(settings.FILE_UPLOAD_TEMP_DIR)  # for spooled responses; /tmp can be in memory
remove_abandoned_uploads(settings.FILE_UPLOAD_TEMP_DIR)
application = UnderPrefix(get_wsgi_application(), settings.DIGITS_URL_PREFIX)

from digits_project.server.admission import Admission  # noqa: E402 - it needs Django's apps
from digits_project.server.streaming.event_hub import hub  # noqa: E402 - it does too

application.admission, application.streams = Admission(), hub  # the gunicorn worker reads them
