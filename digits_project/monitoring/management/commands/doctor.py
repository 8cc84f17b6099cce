"""`manage.py doctor`"""

from digits_project.jobs.console.command import ConsoleCommand, Exit
from digits_project.monitoring.doctor import OK, WRONG, examine

MARKS = {"ok": "ok", "warning": "note", "wrong": "WRONG"}


class Command(ConsoleCommand):
    help = (
        "Check everything that a server needs (Python, engine, GPUs, database, Redis, workers, disk, permissions, "
        "port) and say how to fix what is wrong; the exit status is then 1. The command also works while the "
        "server is not running."
    )
    example = "\n--json"
    needs_database = False

    def handle(self, **options):
        found = []
        for finding in examine():
            found.append(finding)
            if not self.as_json:
                self.stdout.write(f"{MARKS[finding.state]:<6} {finding.name:<11} {finding.text}")
                if finding.state != OK and finding.mend:
                    self.stdout.write(f"{'':<18} to fix: {finding.mend}")
        if self.as_json:
            self.print_json([finding._asdict() for finding in found])
        self.end(Exit.FAILED if any(finding.state == WRONG for finding in found) else Exit.DONE)
