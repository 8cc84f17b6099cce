"""What the server's own work costs as jobs pile up: `python -m benchmarks.growth.job_costs`, for docs/scaling.md.

Fills a temporary database with ended and waiting models of twenty owners. Times the dispatch while no device is free,
the reaper's round, the lists and the metrics; shows what a job takes in PostgreSQL. No job runs. Five minutes on two
cores.
"""
# ruff: noqa: E402

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from unittest import mock

import django

from digits_project.stack.embedded import Services

if "DATABASE_URL" not in os.environ:  # Django's settings need it: start the services, then this module again
    with tempfile.TemporaryDirectory(prefix="digits-costs-") as home, Services(Path(home)) as services:
        Path(home).chmod(0o711)
        urls = {name: url for name, url in services.urls.items() if url}
        settings = {"DIGITS_HOME": home, "DIGITS_JOBS_DIR": f"{home}/jobs", "DIGITS_AUTH": "open"}
        environment = os.environ | urls | settings | {"DJANGO_SETTINGS_MODULE": "digits_project.settings"}
        sys.exit(subprocess.run([sys.executable, "-m", "benchmarks.growth.job_costs"], env=environment).returncode)

django.setup()

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from datasets.models import Dataset
from digits_project.jobs.execution import reaper
from digits_project.jobs.models import Status
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot

COUNTS = (10, 1_000, 10_000, 100_000)
OWNERS = 20
EPOCHS, LOSSES = 30, 100  # of one training: its validations and snapshots, its measurements of the loss
WITH_CURVES = 500  # jobs whose rows in all tables are measured
REPEATS = 5
WORKERS = {"train-busy": 1, "io": 1}


def main() -> None:
    call_command("migrate", verbosity=0)
    dataset = Dataset.objects.create(job_id="20260101-000000-0000", name="d", status=Status.DONE)
    print(f"PostgreSQL, a training of {EPOCHS} epochs: {bytes_of_a_training(dataset) / 1000:.1f} kB with its indexes")
    client = Client(SERVER_NAME="127.0.0.1")
    print(f"{'ended':>9} {'waiting':>8}  dispatch  reaper  index   page of 100  metrics   (ms, median of {REPEATS})")
    for waiting in (False, True):
        for count in COUNTS:
            TrainedModel.objects.all().delete()
            status = Status.WAITING if waiting else Status.DONE
            TrainedModel.objects.bulk_create(models(dataset, count, status), batch_size=5_000)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
            print(f"{0 if waiting else count:9,} {count if waiting else 0:8,}  {costs(client)}", flush=True)


def costs(client: Client) -> str:
    with mock.patch.object(queues, "live_workers", return_value=WORKERS):
        timed = [
            milliseconds(dispatch),
            milliseconds(reaper.tick),
            milliseconds(lambda: client.get("/index.json").content),
            milliseconds(lambda: client.get("/index.json?page=1&page_size=100").content),
            milliseconds(lambda: client.get("/metrics").content),
        ]
    return "".join(f"{value:10.1f}" for value in timed)


def milliseconds(work: Callable[[], object]) -> float:
    def once() -> float:
        began = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - began)

    once()  # opens connections and plans the queries
    return statistics.median(once() for _ in range(REPEATS))


def models(dataset: Dataset, count: int, status: Status) -> Iterator[TrainedModel]:
    """Models of several owners, one a second, with the history that a job of this status has."""
    now = timezone.now()
    steps = ["Initialized", "Waiting", *([] if status == Status.WAITING else ["Running", "Done"])]
    for number in range(count):
        yield TrainedModel(
            job_id=f"20260102-{number // 65536:06}-{number % 65536:04x}",
            name=f"LeNet {number}",
            owner=f"user{number % OWNERS}",
            dataset=dataset,
            status=status,
            standard_network="lenet",
            batch_size=64,
            usable_engines=["mxnet"],
            status_history=[[step, now.isoformat()] for step in steps],
            started_at=None if status == Status.WAITING else now - timedelta(seconds=number),
        )


def bytes_of_a_training(dataset: Dataset) -> float:
    """What one training adds to the database: its row, measurements and snapshots, with indexes."""
    before = database_bytes()
    made = TrainedModel.objects.bulk_create(models(dataset, WITH_CURVES, Status.DONE))
    for model in made:
        losses = {"loss": 0.1234567, "accuracy": 0.987654, "learning_rate": 0.01, "outputs": {}}
        splits = [("val", epoch) for epoch in range(EPOCHS)] + [("train", n * EPOCHS / LOSSES) for n in range(LOSSES)]
        Metric.objects.bulk_create(
            Metric(trained_model=model, split=split, epoch=epoch, iteration=10, **losses) for split, epoch in splits
        )
        Snapshot.objects.bulk_create(
            Snapshot(trained_model=model, epoch=epoch, folder=f"snapshots/epoch-{epoch}") for epoch in range(EPOCHS)
        )
    return (database_bytes() - before) / WITH_CURVES


def database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return cursor.fetchone()[0]


main()
