"""The admin's pages for evaluations, and what a model's page shows of one."""

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.shortcuts import redirect

from digits_project import access
from digits_project.errors import BadInput
from digits_project.jobs.admin import JobAdmin
from digits_project.jobs.models import Status
from digits_project.jobs.services import Gone
from digits_project.jobs.templatetags.operators import share
from models_app import evaluations
from models_app.models import Kind, TrainedModel
from models_app.results import Evaluation

MOST_COLUMNS = 40  # of a matrix on a page
MOST_CATEGORIES = 200
MOST_ERRORS = 24


@admin.register(Evaluation)
class EvaluationAdmin(JobAdmin):
    list_display = ("name", "state", "share_right", "share_among_five", "mean_loss", "owner", "created")
    list_filter = ("status", "split")
    exclude = Evaluation.LARGE
    change_form_template = "admin/models_app/evaluation/change_form.html"

    def get_queryset(self, request):
        return super().get_queryset(request).defer(*Evaluation.LARGE, "status_history")

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    def page(self, request, job):
        return super().page(request, job) | {"evaluation": figures(job)}

    @admin.display(description="accuracy", ordering="accuracy")
    def share_right(self, evaluation):
        return "–" if evaluation.accuracy is None else share(evaluation.accuracy)

    @admin.display(description="top 5", ordering="top_5_accuracy")
    def share_among_five(self, evaluation):
        return "–" if evaluation.top_5_accuracy is None else share(evaluation.top_5_accuracy)

    @admin.display(description="loss", ordering="loss")
    def mean_loss(self, evaluation):
        return "–" if evaluation.loss is None else f"{evaluation.loss:.4f}"


class Evaluates:
    """For the ModelAdmin of models: asks for an evaluation, shows the latest."""

    def evaluate(self, request, job_id):
        model = self.changed(request, job_id)
        try:
            epoch = float(request.POST["epoch"]) if request.POST.get("epoch") else None
            asked = evaluations.evaluate(model, request.POST.get("split", ""), epoch, access.owner(request))
        except ValidationError as wrong:
            self.message_user(request, " ".join(wrong.messages), messages.ERROR)
        except (evaluations.CanNotEvaluate, BadInput, ValueError, Gone) as unable:
            self.message_user(request, str(unable) or f"{model.name} is gone.", messages.ERROR)
        else:
            self.message_user(request, f"{asked.name}: {asked.status}.", messages.SUCCESS)
        return redirect(f"{self.address('change', job_id)}#evaluation")

    def evaluation_of(self, model: TrainedModel, best) -> dict:
        """The evaluation of the best snapshot, or else the latest; and on which splits one can be asked for."""
        found = evaluations.find(model, epoch=best.epoch) if best else None
        found = found or evaluations.find(model)
        splits = [split for split in Evaluation.Split.values if model.dataset.entries(split)]
        can = best is not None and model.kind == Kind.CLASSIFICATION
        return {"evaluation": found and figures(found), "splits": splits if can else []}


def figures(evaluation: Evaluation) -> dict:
    """An evaluation as the template draws it: rows of the matrix with how dark each cell is, in percent of its row."""
    done = evaluation.status == Status.DONE
    names = [row["category"] for row in evaluation.categories]
    fits = done and evaluation.confusion_matrix is not None and len(names) <= MOST_COLUMNS
    return {
        "job": evaluation,
        "done": done,
        "names": names,
        "matrix": [
            (name, [(count, round(100 * count / (sum(row) or 1)), i == j) for j, count in enumerate(row)])
            for i, (name, row) in enumerate(zip(names, evaluation.confusion_matrix, strict=True))
        ]
        if fits
        else [],
        "categories": evaluation.categories[:MOST_CATEGORIES],
        "more_categories": max(0, len(evaluation.categories) - MOST_CATEGORIES),
        "worst": evaluation.worst_errors[:MOST_ERRORS],
        "dataset": evaluation.trained_model.dataset_id,
    }
