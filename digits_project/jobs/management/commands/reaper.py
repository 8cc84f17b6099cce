"""`manage.py reaper`"""

import signal
import threading

from django.core.management.base import BaseCommand

from digits_project.common.database_deadlines import limit_waits
from digits_project.jobs.execution import reaper


class Command(BaseCommand):
    help = (
        "Every few seconds, handle the jobs whose process died and queue the jobs that can run, until stopped. One "
        "reaper on any host is enough; more do no harm. Example: manage.py reaper"
    )

    def handle(self, **options):
        limit_waits()
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        reaper.run_forever(stop)
