"""`manage.py jobs`"""

import time
from collections.abc import Iterator
from itertools import islice

from digits_project.jobs.console.command import ConsoleCommand, wrong
from digits_project.jobs.models import Job, Status, job_classes

CLEAR = "\033[H\033[2J"
COLUMNS = ("id", "kind", "status", "progress", "owner", "created", "name")


class Command(ConsoleCommand):
    help = "List jobs: running jobs first, then the newest first."
    example = "--kind models --status Running --watch"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        kinds = [job_class.ROUTE for job_class in job_classes()]
        parser.add_argument("--kind", choices=kinds, help="only jobs of this kind")
        parser.add_argument(
            "--status", choices=Status.values, action="append", help="only jobs with this status; can be repeated"
        )
        parser.add_argument("--owner", help="only this user's jobs")
        parser.add_argument("--name", help="only jobs whose name contains this")
        parser.add_argument("--limit", type=int, default=50, help="at most this many jobs [50]; 0: all")
        parser.add_argument(
            "--watch",
            nargs="?",
            type=float,
            const=2.0,
            metavar="SECONDS",
            help="print the list again every 2 seconds, or every this many",
        )

    def handle(self, **options):
        if options["limit"] < 0:
            raise wrong("--limit must be a whole number from 0.")
        self._show(options)
        while options["watch"] is not None:
            time.sleep(max(options["watch"], 0.1))
            self._show(options)

    def _show(self, options) -> None:
        rows = [
            row
            for job_class in job_classes()
            if options["kind"] in (None, job_class.ROUTE)
            for row in _rows(job_class, options)
        ]
        rows = sorted(rows, key=lambda row: (row["status"] == Status.RUNNING, row["created"]), reverse=True)
        rows = rows[: options["limit"] or None]
        if self.as_json:
            self.print_json(rows)
        else:
            if options["watch"] is not None and self.stdout.isatty():
                self.stdout.write(CLEAR, ending="")
            self.print_table(map(_cells, rows), COLUMNS)
        self.stdout.flush()


def _rows(job_class: type[Job], options) -> Iterator[dict]:
    found = job_class.objects.order_by("-created_at")
    if options["status"]:
        found = found.filter(status__in=options["status"])
    if options["owner"] is not None:
        found = found.filter(owner=options["owner"])
    if options["name"]:
        found = found.filter(name__icontains=options["name"])
    columns = ("job_id", "status", "progress", "owner", "created_at", "name", "error")
    running = found.filter(status=Status.RUNNING).values_list(*columns)
    others = found.exclude(status=Status.RUNNING).values_list(*columns)
    rows = (row for rows in (running, others) for row in rows[: options["limit"] or None])
    for job_id, status, progress, owner, created, name, error in islice(rows, options["limit"] or None):
        row = {"id": job_id, "kind": job_class.ROUTE, "status": status, "progress": round(progress, 4), "owner": owner}
        row |= {"created": f"{created:%Y-%m-%dT%H:%M:%SZ}", "name": name}
        yield row | ({"error": error} if error else {})


def _cells(row: dict) -> list[str]:
    shown = row | {"progress": f"{100 * row['progress']:.0f} %"}
    return [shown[column] for column in COLUMNS]
