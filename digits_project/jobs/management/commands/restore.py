"""`manage.py restore FILE.tar`"""

import sys
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from digits_project.accounts import audit
from digits_project.jobs.backup import restore
from digits_project.jobs.backup.postgres_tools import ToolFailed
from digits_project.jobs.console.command import ConsoleCommand, wrong
from digits_project.jobs.console.embedded_database import has_database, run_again_with_database


class Command(ConsoleCommand):
    help = (
        "Restore a backup into a server that has no jobs and is not running: into an empty DIGITS_HOME, or into "
        "the database and folder that DATABASE_URL and DIGITS_JOBS_DIR name. Accounts and passwords become those "
        "of the backup. Jobs that ran when the backup was made continue from their newest snapshots when the "
        "server starts. Run the command as the user that runs the server."
    )
    example = "/backups/digits-2026-11-25.tar"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="the file that manage.py backup wrote")

    def handle(self, *, file, **options):
        if not file.is_file():
            raise wrong(f"{file} is not a file.")
        if not has_database():
            sys.exit(run_again_with_database())
        try:
            manifest = restore.restore(file, report=self.screen.megabytes())
        except (OSError, ToolFailed, restore.RestoreRefused) as error:
            raise CommandError(str(error)) from error
        finally:
            self.screen.clear_bar()
        audit.record("restore", str(file), f"{len(manifest['jobs'])} jobs of {manifest['made_at']}")
        if self.as_json:
            self.print_json({"file": str(file), **manifest})
            return
        self.stdout.write(f"{len(manifest['jobs'])} jobs of {manifest['made_at']} are in {settings.DIGITS_JOBS_DIR}")
        if not manifest["records"]:
            self.stdout.write(
                "Without the images of the datasets: models classify, but nothing can be trained on those datasets."
            )
