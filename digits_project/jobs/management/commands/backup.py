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
        "Write a backup of everything that the server keeps, its database and the folders of its jobs, into one "
        "tar file. The server can keep running meanwhile, even with trainings: after a restore, running jobs "
        "continue from their newest snapshots. The backup does not include DIGITS_DATA_ROOTS, the secret key, or "
        "files outside of DIGITS_JOBS_DIR that jobs name. The file holds password digests; only its owner can read "
        "it."
    )
    example = "/backups/digits-$(date +%F).tar"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="the tar file to write; an existing file is never replaced")
        parser.add_argument(
            "--no-records",
            action="store_true",
            help=(
                "leave out the images of finished datasets, which are most of the size: models still classify "
                "as before, but nothing can be trained on those datasets"
            ),
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
            self.stderr.write(f"Not in the backup, because it was deleted or unreadable: {name}")
