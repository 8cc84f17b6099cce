"""`manage.py backup FILE.tar`"""

import sys
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from digits_project.accounts import audit
from digits_project.jobs.backup import backup_writer
from digits_project.jobs.backup.postgres_tools import ToolFailed
from digits_project.jobs.console.command import ConsoleCommand
from digits_project.jobs.console.embedded_database import has_database, run_again_with_database


class Command(ConsoleCommand):
    help = (
        "Write all that the server keeps into one tar: its database and the folders of its jobs. It may run meanwhile, "
        "and train: what runs goes on from its newest snapshot after a restore. Not in it: DIGITS_DATA_ROOTS, the "
        "secret key, and files that jobs name outside of DIGITS_JOBS_DIR. The file holds password digests and is for "
        "its owner only."
    )
    example = "/backups/digits-$(date +%F).tar"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="the tar to write; one that is there is never replaced")
        parser.add_argument(
            "--no-records",
            action="store_true",
            help="leave out the images of finished datasets, most of the size: models then answer as before, "
            "but nothing trains on those datasets",
        )

    def handle(self, *, file, no_records, **options):
        if not has_database():
            if not (settings.DIGITS_HOME / "embedded" / "postgres").exists():
                raise CommandError(f"There is nothing to back up: no server has run on {settings.DIGITS_HOME}.")
            sys.exit(run_again_with_database())
        target = file.absolute()
        try:
            summary = backup_writer.make(target, records=not no_records, report=self.screen.megabytes())
        except (OSError, ToolFailed) as error:
            raise CommandError(f"No backup was made: {error}") from error
        finally:
            self.screen.clear_bar()
        audit.record("backup", str(target), f"{summary.jobs} jobs")
        if self.as_json:
            self.print_json({"file": str(target), **vars(summary)})
        else:
            self._say(target, summary)

    def _say(self, target: Path, summary: backup_writer.Summary) -> None:
        size = target.stat().st_size / 10**6
        self.stdout.write(f"{target}: {summary.jobs} jobs, {summary.files} files, {size:,.1f} MB")
        for name in summary.missing:
            self.stderr.write(f"Not in it, gone or unreadable when its turn came: {name}")
