"""`manage.py worker io|io-spare|train`"""

import time

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection
from redis.exceptions import RedisError

from digits_project.common.database_deadlines import limit_waits
from digits_project.jobs.execution.worker import JobWorker, in_child
from digits_project.jobs.scheduling import devices, queues

WAIT_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Run jobs until stopped: io builds image databases, train trains networks on the devices of this host. "
        "io-spare does the same as io, but for users who would otherwise wait for another user's job while all io "
        "workers are busy. Start as many workers as jobs should run at once. Example: manage.py worker io"
    )

    def add_arguments(self, parser):
        parser.add_argument("queue", choices=["io", "io-spare", "train"], help="the kind of work")

    def handle(self, *, queue, **options):
        limit_waits()
        name = queues.train_queue(settings.DIGITS_HOST_NAME) if queue == "train" else queue
        in_child(self._register_devices if queue == "train" else self._await_services)
        JobWorker([name]).work()

    def _register_devices(self):
        self._await_services()
        for device in devices.register():
            self.stdout.write(f"{device}: {device.model_name or device.type}{'' if device.enabled else ', off'}")

    def _await_services(self):
        """Wait for PostgreSQL and Redis. Exiting would make the supervisor wait longer before each restart."""
        while True:
            try:
                queues.connection().ping()
                connection.ensure_connection()
                return
            except (RedisError, OperationalError) as away:
                self.stderr.write(f"Waiting for Redis and PostgreSQL: {away}")
                time.sleep(WAIT_SECONDS)
