"""`manage.py stop_early MODEL_ID …`"""

from digits_project.jobs.console.command import ConsoleCommand, Exit, job_of
from digits_project.jobs.console.follow import ask_to_end
from digits_project.jobs.models import Status
from models_app import services
from models_app.models import TrainedModel


class Command(ConsoleCommand):
    help = (
        "End trainings early and keep their best snapshots: each ends after its current step, writes its last "
        "snapshot, and is Done."
    )
    example = "20261125-120000-0c1a"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument(
            "model_ids", nargs="+", metavar="MODEL_ID", help="the models' ids, as manage.py jobs lists them"
        )
        parser.add_argument("--no-wait", action="store_true", help="do not wait until the trainings have ended")

    def handle(self, *, model_ids, **options):
        models = [job_of(model_id, TrainedModel) for model_id in model_ids]
        asked = ask_to_end(self, models, services.stop_early, wait=not options["no_wait"])
        has_failed = any(model.status in (Status.ERROR, Status.ABORTED) for model in asked)
        self.end(Exit.FAILED if has_failed else Exit.DONE)
