"""`manage.py evaluate MODEL_ID`"""

from django.core.management.base import CommandError

from digits_project.common.escaping import escaped
from digits_project.jobs.console.command import Exit, job_of
from digits_project.jobs.console.work_command import WorkCommand, add_owner
from inference.console.images_command import add_snapshot, which_of
from models_app import evaluations
from models_app.api.model_responses import evaluation_json
from models_app.models import TrainedModel
from models_app.results import Evaluation

FITTED = ("temperature", "calibrated_error", "unsure_below")  # which the JSON of DIGITS lacks


class Command(WorkCommand):
    help = (
        "Evaluate a classifier on its validation or test images: accuracy, top-5, loss, calibration, precision and "
        "recall of each category, the confusion matrix and the worst errors. An existing evaluation is shown, not "
        "repeated."
    )
    example = "20261125-120000-0c1a --split test --snapshot-epoch best --json"
    work = "make"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_owner(parser)
        add_snapshot(parser)
        parser.add_argument(
            "--split", choices=Evaluation.Split.values, default="val", help="the images of which split [val]"
        )

    def describe(self, job):
        return evaluation_json(job)

    def jobs(self, options):
        model = job_of(options["model_id"], TrainedModel)
        which = which_of(options)
        self.refuse_without_workers(Evaluation, options)
        try:
            return [evaluations.evaluate(model, options["split"], which, options["owner"])]
        except evaluations.CanNotEvaluate as no:
            raise CommandError(str(no), returncode=Exit.BAD_INPUT) from no

    def result(self, jobs):
        """A table with the figures of each category."""
        figures = evaluation_json(jobs[0])
        named = ("images", "accuracy", "top_5_accuracy", "loss", "calibration_error")
        lines = [f"{name:<18} {_shown(figures[name])}" for name in named if name in figures]
        lines += [f"{name:<18} {_shown(getattr(jobs[0], name))}" for name in FITTED if "images" in figures]
        head = f"{'category':<24} precision  recall  f1      images" if "categories" in figures else ""
        rows = [
            f"{one['category']:<24} {_shown(one['precision']):<10} {_shown(one['recall']):<7} {_shown(one['f1']):<7} "
            f"{one['support']}"
            for one in figures.get("categories", ())
        ]
        return "\n".join([jobs[0].pk, *lines, *filter(None, [head]), *map(escaped, rows)])


def _shown(value) -> str:
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
