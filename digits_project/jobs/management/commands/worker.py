"""`manage.py worker io|train`"""

from django.conf import settings
from django.core.management.base import BaseCommand

from digits_project.jobs import devices
from digits_project.jobs.worker import JobWorker


class Command(BaseCommand):
    help = (
        "Run jobs until stopped: io builds image databases, train trains networks on the devices of this host. "
        "Start as many as there are jobs to run at once. Example: manage.py worker io"
    )

    def add_arguments(self, parser):
        parser.add_argument("queue", choices=["io", "train"], help="the kind of job to run")

    def handle(self, *, queue, **options):
        if queue == "train":
            for device in devices.register():
                self.stdout.write(f"{device}: {device.model_name or device.type}{'' if device.enabled else ', off'}")
        name = "io" if queue == "io" else f"train-{settings.DIGITS_HOST_NAME}"
        JobWorker([name]).work()
