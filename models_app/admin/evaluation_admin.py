"""The admin's pages for evaluations, and the evaluation on a model's page."""

from collections.abc import Mapping, Sequence

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.shortcuts import redirect

from digits_project.accounts import usernames
from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.common.errors import BadInput, Gone, LimitReached
from digits_project.common.job_ids import is_job_id
from digits_project.jobs.admin.job_admin import JobAdmin
from digits_project.jobs.admin.privacy import ShowsWhatIsVisible
from digits_project.jobs.models import Status
from digits_project.jobs.templatetags.operators import share
from digits_project.jobs.visibility import is_visible, visible
from models_app import evaluations
from models_app.models import TrainedModel
from models_app.results import Evaluation, which_snapshot

MAX_COLUMNS = 40  # of a matrix on a page
MAX_IN_MATRIX, MAX_CONFUSED = 1000, 100  # of what inference.engine.classification_metrics keeps
MAX_CATEGORIES = 100  # on a page of their table
MAX_ERRORS = 24
SORTED_BY = {"category": "Category", "precision": "Precision", "recall": "Recall", "f1": "F1", "support": "Images"}


@admin.register(Evaluation)
class EvaluationAdmin(JobAdmin[Evaluation]):
    list_display = ("name", "state", "share_right", "share_among_five", "mean_loss", "owner", "created")
    list_filter = ("status", "split")
    exclude = Evaluation.LARGE
    change_form_template = "admin/models_app/evaluation/change_form.html"

    def get_queryset(self, request):
        return super().get_queryset(request).defer(*Evaluation.LARGE, "status_history")

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    def find(self, job_id):
        """The evaluation without its confusion matrix, which is loaded only if it is small enough to show."""
        return visible(Evaluation).defer("confusion_matrix").filter(pk=job_id).first() if is_job_id(job_id) else None

    def page(self, request, job):
        return super().page(request, job) | {"evaluation": figures(job, request.GET)}

    @admin.display(description="accuracy", ordering="accuracy")
    def share_right(self, evaluation):
        return "–" if evaluation.accuracy is None else share(evaluation.accuracy)

    @admin.display(description="top 5", ordering="top_5_accuracy")
    def share_among_five(self, evaluation):
        return "–" if evaluation.top_5_accuracy is None else share(evaluation.top_5_accuracy)

    @admin.display(description="loss", ordering="loss")
    def mean_loss(self, evaluation):
        return "–" if evaluation.loss is None else f"{evaluation.loss:.4f}"


class Evaluates(ShowsWhatIsVisible[TrainedModel]):
    """A part of the pages of models: creates evaluations and shows the latest."""

    def evaluate(self, request, job_id):
        model = self.changed(request, job_id)
        try:
            which = which_snapshot(request.POST.get("epoch", ""))
            asked = evaluations.evaluate(model, request.POST.get("split", ""), which, usernames.owner(request))
        except ValidationError as wrong:
            self.message_user(request, " ".join(wrong.messages), messages.ERROR)
        except (evaluations.CanNotEvaluate, BadInput, LimitReached, ValueError, Gone) as unable:
            self.message_user(
                request, without_paths(str(unable)) or f"{model.name} was deleted meanwhile.", messages.ERROR
            )
        else:
            self.message_user(request, f"{asked.name}: {asked.status}.", messages.SUCCESS)
        return redirect(f"{self.address('change', job_id)}#evaluation")

    def evaluation_of(self, model: TrainedModel, asked: Mapping[str, str]) -> dict:
        """Template context: the evaluation of the snapshot that answers, else the latest, and the splits that can be
        evaluated."""
        found = evaluations.find(model)
        splits = [split for split in Evaluation.Split.values if model.dataset.entries(split)]
        can = model.declared_kind.is_evaluated and model.snapshots.exists()
        return {"evaluation": found and figures(found, asked), "splits": splits if can else []}


def figures(evaluation: Evaluation, asked: Mapping[str, str]) -> dict:
    """Template context of an evaluation with any number of categories: one page of the table of categories, chosen
    by the query string, and a small confusion matrix with the shade of each cell, in percent of its row."""
    count = len(evaluation.categories)
    return {
        "job": evaluation,
        "done": evaluation.status == Status.DONE,
        "count": count,
        "names": [row["category"] for row in evaluation.categories[:MAX_COLUMNS]],
        "matrix": _matrix(evaluation) if 0 < count <= MAX_COLUMNS else [],
        "has_matrix": count <= MAX_IN_MATRIX,
        "json": evaluation.get_absolute_url(".json"),
        "confused": _confused(evaluation),
        "most_confused": MAX_CONFUSED,
        "table": _table(evaluation.categories, asked),
        "worst": without_paths(evaluation.worst_errors[:MAX_ERRORS]) if _shows_images(evaluation) else [],
        "dataset": evaluation.trained_model.dataset_id,
    }


def _shows_images(evaluation: Evaluation) -> bool:
    """Whether the user may see the images of the evaluation's dataset."""
    return limited_user() is None or is_visible(evaluation.trained_model.dataset)


def _matrix(evaluation: Evaluation) -> list[tuple[str, list[tuple[int, int, bool]]]]:
    """(category, [(images, percent of the row, whether the prediction is right)]) of each row."""
    return [
        (
            figures["category"],
            [(count, round(100 * count / (figures["support"] or 1)), i == j) for j, count in enumerate(row)],
        )
        for i, (figures, row) in enumerate(zip(evaluation.categories, evaluation.confusion_matrix or (), strict=True))
    ]


def _confused(evaluation: Evaluation) -> list[dict]:
    """The most frequent errors, each with its percentage of the category's images."""
    support = {row["category"]: row["support"] for row in evaluation.categories}
    return [pair | {"share": pair["images"] / (support[pair["category"]] or 1)} for pair in evaluation.most_confused]


def _table(categories: Sequence[dict], asked: Mapping[str, str]) -> dict:
    """A page of the categories, sorted by the query's `by` (recall: lowest first, -recall: highest first), else in
    their own order."""
    by = asked.get("by", "")
    column = by.removeprefix("-")
    if column in SORTED_BY:
        categories = sorted(categories, key=lambda row: row[column], reverse=by.startswith("-"))
    else:
        by = ""
    page = Paginator(categories, MAX_CATEGORIES).get_page(asked.get("page"))
    return {"by": by, "page": page, "heads": [_head(name, title, by) for name, title in SORTED_BY.items()]}


def _head(name: str, title: str, by: str) -> dict:
    """A column's head: its sort order for screen readers (aria-sort), and the query of a click."""
    if by == name:
        return {"title": f"{title} ↑", "by": f"-{name}", "sort": "ascending", "number": name != "category"}
    if by == f"-{name}":
        return {"title": f"{title} ↓", "by": name, "sort": "descending", "number": name != "category"}
    return {"title": title, "by": name, "sort": "none", "number": name != "category"}
