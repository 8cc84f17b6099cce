"""The admin's page that creates models, or clones one with changes."""

from rest_framework.exceptions import ValidationError

from digits_project.jobs.admin.create_pages import CreatesJobs, Shown
from digits_project.jobs.visibility import visible
from models_app import searches
from models_app.api.network_forms import StandardNetworkField
from models_app.api.plans import in_words, plan
from models_app.api.resources.form_values import form_values
from models_app.api.serializers import FORMS, ModelForm
from models_app.models import TrainedModel
from models_app.networks.pretrained.packaged import PACKAGED
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.training.hyperparameter_declaration import hyperparameters_of
from models_app.training.hyperparameters import Hyperparameters

MAX_OFFERED = 100
SNAPSHOT = "previous_snapshot"  # this page's name for the API's `<id>-snapshot`
SNAPSHOT_HELP = (
    "previous: the epoch whose weights the training starts from, latest or best; 0 or empty: random weights."
)


# {field: the choice it belongs to, "lr_policy=step"}
ONLY_WITH = {
    declared.wire_name: "=".join(declared.only_with)
    for declared in hyperparameters_of(Hyperparameters)
    if declared.only_with
}


class CreatesModels(CreatesJobs[TrainedModel]):
    """A mixin with the add page of models."""

    forms = FORMS
    create_template = "admin/models_app/trainedmodel/create.html"
    create_script = "models_app/rate.js"

    def create(self, owner, **fields):
        return searches.create_jobs(owner, **fields)

    def _make(self, form, owner):
        """With dry_run nothing is made; the page shows the plan where it shows errors."""
        if not (form.is_valid() and form.is_dry_run):
            return super()._make(form, owner)
        try:
            planned = plan(owner, form)
        except ValidationError as wrong:
            return [], wrong.detail
        return [], {"": [line for model in planned for line in in_words(model)]}

    def posted(self, request):
        data = super().posted(request)
        if data.get("previous_networks") and data.get(SNAPSHOT):
            data[f"{data['previous_networks']}-snapshot"] = data[SNAPSHOT]
        return data

    def kind_of(self, job):
        return job.kind

    def form_values(self, job):
        form = self.forms[job.kind]()
        form.for_page()
        epoch = "" if job.previous_epoch is None else f"{job.previous_epoch:g}"
        return {
            name: form.fields[name].to_representation(value) if isinstance(value, bool) else value
            for name, value in form_values(job).items()
        } | {SNAPSHOT: epoch}

    def arranged(self, fields: list[Shown], values: dict, errors: dict) -> list[Shown]:
        """The fields, with one for the epoch of the previous model after the one for that model."""
        wrong = errors.get(f"{values.get('previous_networks')}-snapshot", [])
        only = self.belongs("previous_networks")
        epoch = Shown(SNAPSHOT, "text", values.get(SNAPSHOT, ""), False, SNAPSHOT_HELP, (), wrong, only)
        place = next(i for i, field in enumerate(fields) if field.name == "previous_networks") + 1
        return [*fields[:place], epoch, *fields[place:]]

    def belongs(self, name):
        for method, names in ModelForm.FIELDS_OF.items():
            if name in names:
                return f"method={method}"
        return ONLY_WITH.get(name, "")

    def suggestions(self, request):
        pretrained = visible(PretrainedModel).order_by("-created_at")
        return {
            "standard_networks": [(name, "") for name in StandardNetworkField.suggestions()],
            "pretrained_networks": [(weights.name, weights.categories) for weights in PACKAGED.values()]
            + list(pretrained.values_list("job_id", "name")[:MAX_OFFERED]),
        }
