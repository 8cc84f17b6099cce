"""The admin's pages for evaluations, and the evaluation on a model's page."""

from collections.abc import Mapping

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.shortcuts import redirect

from digits_project.accounts import usernames
from digits_project.accounts.viewer import without_paths
from digits_project.common.errors import BadInput, Gone, LimitReached
from digits_project.common.job_ids import is_job_id
from digits_project.jobs.admin.job_admin import JobAdmin
from digits_project.jobs.admin.privacy import ShowsWhatIsVisible
from digits_project.jobs.templatetags.operators import share
from digits_project.jobs.visibility import visible
from models_app import evaluations
from models_app.models import TrainedModel
from models_app.pages.evaluation_figures import figures
from models_app.results import Evaluation, which_snapshot


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
