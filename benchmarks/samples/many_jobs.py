"""Writes rows of jobs that are Done into the database of a running server, half of them datasets, half models.

`python -m benchmarks.samples.many_jobs NUMBER`, with the environment of that server; `NUMBER BEFORE` adds to those that
were written before, until there are NUMBER.
"""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
django.setup()

from django.db import connection  # noqa: E402 - needs Django's settings

from datasets.models import Dataset  # noqa: E402 - needs Django's apps
from digits_project.jobs.models import Status  # noqa: E402
from models_app.models import TrainedModel  # noqa: E402


def main() -> int:
    numbers = range(int(sys.argv[2]) // 2 if len(sys.argv) > 2 else 0, int(sys.argv[1]) // 2)
    datasets = Dataset.objects.bulk_create(
        Dataset(job_id=f"20260101-000000-{number:04x}", name=f"dataset {number}", status=Status.DONE, progress=1)
        for number in numbers
    )
    TrainedModel.objects.bulk_create(
        TrainedModel(
            job_id=f"20260102-000000-{number:04x}",
            name=f"model {number}",
            status=Status.DONE,
            progress=1,
            dataset=dataset,
            batch_size=64,
            standard_network="lenet",
        )
        for number, dataset in zip(numbers, datasets, strict=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does after a while
    return 0


if __name__ == "__main__":
    sys.exit(main())
