"""The model forms."""

from rest_framework import serializers

from datasets.models import Dataset
from digits_project.api import Flag, Form
from digits_project.errors import BadInput
from digits_project.jobs import devices
from digits_project.jobs.models import Wanted
from models_app import descriptions, networks
from models_app.fields import Gpu, GpuList, JobOf, Listed, Numbers, UseMean, WeightsFile
from models_app.models import (
    LARGEST_SEED,
    MOST_BATCHES_ACCUMULATED,
    MOST_EPOCHS,
    MOST_GPUS,
    MOST_IMAGES_A_BATCH,
    Kind,
    Method,
    TrainedModel,
)
from models_app.results import Evaluation, Snapshot
from models_app.services import MOST_COMBINATIONS
from models_app.training.config import MEANS, SOLVERS, TrainConfig
from models_app.training.schedule import POLICIES, Policy

# What trains is MXNet, whatever a script written for DIGITS names.
FRAMEWORKS = ("mxnet", "caffe", "torch", "tensorflow")
OTHER_LANGUAGES = {"torch": "Lua", "tensorflow": "Python"}
NETWORK_TEXT = {
    "max_length": 8_000_000,
    "trim_whitespace": False,  # messages tell the line
    "style": {"base_template": "textarea.html"},
}


def _positive(**kwargs) -> serializers.FloatField:
    return serializers.FloatField(min_value=1e-30, max_value=1e30, **kwargs)


def _number(default: float) -> serializers.FloatField:
    return serializers.FloatField(default=default, min_value=0, max_value=1e30)


def _count(most: int, **kwargs) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=most, **kwargs)


def _none_or_more(most: int) -> serializers.IntegerField:
    return serializers.IntegerField(default=0, min_value=0, max_value=most)


class PolicyForm(Form):
    """What POST /models/visualize-lr takes: how the learning rate falls."""

    DESCRIPTIONS = descriptions.POLICY

    learning_rate = Listed(_positive(), default=[Policy.learning_rate])
    lr_policy = serializers.ChoiceField(POLICIES, default=Policy.lr_policy)
    lr_step_size = _positive(default=Policy.lr_step_size)
    lr_step_gamma = _number(Policy.lr_step_gamma)
    lr_multistep_values = Numbers(default=Policy.lr_multistep_values, max_length=1000)
    lr_multistep_gamma = _number(Policy.lr_multistep_gamma)
    lr_exp_gamma = _number(Policy.lr_exp_gamma)
    lr_inv_gamma = _number(Policy.lr_inv_gamma)
    lr_inv_power = _number(Policy.lr_inv_power)
    lr_poly_power = _number(Policy.lr_poly_power)
    lr_sigmoid_step = _number(Policy.lr_sigmoid_step)
    lr_sigmoid_gamma = _number(Policy.lr_sigmoid_gamma)

    def validate(self, form):
        """Of the policies' parameters only those of the chosen one are kept, as `lr_parameters`."""
        given = {name: form.pop(name) for name in list(form) if name.startswith("lr_") and name != "lr_policy"}
        chosen = f"lr_{form['lr_policy']}_"
        form["lr_parameters"] = {name: value for name, value in given.items() if name.startswith(chosen)}
        return form


class ModelForm(PolicyForm):
    """What both kinds of model take. Valid data are create_models' arguments.

    Of the fields that belong to one method, only those of the chosen method are looked at.
    """

    WIRE_NAMES = {"name": "model_name", "standard_network": "standard_networks", "previous": "previous_networks"}
    DESCRIPTIONS = descriptions.MODEL
    FIELDS_OF = {
        Method.STANDARD: ("standard_networks",),
        Method.PREVIOUS: ("previous_networks",),
        Method.CUSTOM: ("custom_network", "custom_network_snapshot"),
    }
    KIND: Kind
    FIRST = (
        "model_name",
        "dataset",
        "method",
        *(name for names in FIELDS_OF.values() for name in names),
        "train_epochs",
    )

    model_name = serializers.CharField(max_length=255)
    dataset = JobOf(Dataset)
    framework = serializers.ChoiceField(FRAMEWORKS, default="mxnet")
    previous_networks = JobOf(TrainedModel, required=False)
    custom_network = serializers.CharField(required=False, **NETWORK_TEXT)
    custom_network_snapshot = WeightsFile(default="")
    crop_size = _count(4096, default=None)
    use_mean = UseMean(MEANS, default="image")
    train_epochs = _count(MOST_EPOCHS, default=30)
    snapshot_interval = _number(1)
    val_interval = _number(1)
    early_stop_patience = _none_or_more(MOST_EPOCHS)
    keep_snapshots = _none_or_more(MOST_EPOCHS)
    balance_classes = Flag()
    random_seed = serializers.IntegerField(default=None, min_value=0, max_value=LARGEST_SEED)
    batch_size = Listed(_count(MOST_IMAGES_A_BATCH), default=None)
    batch_accumulation = _count(MOST_BATCHES_ACCUMULATED, default=1)
    solver_type = serializers.ChoiceField(SOLVERS, default="SGD")
    rms_decay = serializers.FloatField(default=TrainConfig.rms_decay, min_value=0, max_value=1)
    select_gpu = Gpu(default=[])
    select_gpus = GpuList(default=[])
    select_gpus_list = GpuList(default=[])
    select_gpu_count = _count(MOST_GPUS, default=1)

    def to_internal_value(self, data):
        if not hasattr(data, "items"):
            return super().to_internal_value(data)
        self._keep_fields_of_method(data)
        if hasattr(data, "getlist") and "select_gpus" in data:  # one field for each chosen GPU
            data = {**data.dict(), "select_gpus": data.getlist("select_gpus")}
        form = super().to_internal_value(data)
        if form.get("previous_networks"):
            form["previous_epoch"] = self._epoch(data, form["previous_networks"])
        return form

    def _keep_fields_of_method(self, data) -> None:
        choice = self.fields["method"]
        method = str(data.get("method"))
        method = method if method in choice.choices else choice.default
        for other, names in self.FIELDS_OF.items():
            for name in names:
                if other != method:
                    self.fields.pop(name, None)
        self.fields[self.FIELDS_OF[method][0]].required = True

    def validate_rms_decay(self, decay):
        if decay == 1:
            raise serializers.ValidationError("Ensure this value is less than 1.")
        return decay

    def _epoch(self, data, previous) -> float | None:
        """The epoch of the field `<id>-snapshot`: 0 for fresh weights, -1 for the newest snapshot."""
        field = f"{previous.pk}-snapshot"
        asked = data.get(field)
        try:
            epoch = serializers.FloatField(min_value=-1).run_validation(0 if asked in ("", None) else asked)
        except serializers.ValidationError as wrong:
            raise serializers.ValidationError({field: wrong.detail}) from wrong
        snapshot = chosen_snapshot(previous, epoch, field)
        return snapshot.epoch if snapshot else None

    def validate(self, form):
        """Form names to column names; what only several fields together can tell."""
        form = super().validate(form)
        for column, wire_name in self.WIRE_NAMES.items():
            if wire_name in form:
                form[column] = form.pop(wire_name)
        if form["method"] == Method.CUSTOM:
            refuse_other_languages(form["framework"])
        form["framework"] = "mxnet"
        form["select_gpus"] = self._gpus(form)
        learning_rates, batch_sizes = form.pop("learning_rate"), form.pop("batch_size") or [None]
        if len(learning_rates) * len(batch_sizes) > MOST_COMBINATIONS:
            raise serializers.ValidationError(
                {"learning_rate": f"These are more than {MOST_COMBINATIONS} combinations with the batch sizes."}
            )
        return form | {"kind": self.KIND, "learning_rates": learning_rates, "batch_sizes": batch_sizes}

    def _gpus(self, form) -> list[int]:
        """The GPUs that were chosen by their numbers, in whichever of three fields."""
        chosen = {name: form.pop(name) for name in ("select_gpus_list", "select_gpus", "select_gpu")}
        field = next((name for name, indexes in chosen.items() if indexes), "select_gpu_count")
        indexes = chosen.get(field, [])
        try:
            devices.check(Wanted(tuple(indexes), form["select_gpu_count"]))
        except BadInput as wrong:
            raise serializers.ValidationError({field: str(wrong)}) from wrong
        return indexes


class ClassificationModelForm(ModelForm):
    """What POST /models/images/classification takes."""

    DESCRIPTIONS = descriptions.CLASSIFICATION
    KIND = Kind.CLASSIFICATION

    method = serializers.ChoiceField(Method.values, default=Method.STANDARD)
    standard_networks = serializers.ChoiceField(list(networks.STANDARD), required=False)


class GenericModelForm(ModelForm):
    """What POST /models/images/generic takes: there is no standard network for any labels and outputs."""

    DESCRIPTIONS = descriptions.GENERIC
    KIND = Kind.GENERIC

    method = serializers.ChoiceField([Method.CUSTOM.value, Method.PREVIOUS.value], default=Method.CUSTOM)


def chosen_snapshot(model: TrainedModel, epoch: float, field: str) -> Snapshot | None:
    """The snapshot of an epoch, the newest (-1), or none (0). Raises ValidationError for that field."""
    if epoch == 0:
        return None
    snapshot = model.snapshot_at(epoch)
    if snapshot is None:
        there = model.epochs or "none"
        raise serializers.ValidationError({field: f"{model.name} has no snapshot of that epoch; it has {there}."})
    return snapshot


def refuse_other_languages(framework: str) -> None:
    """Raise ValidationError for a framework whose networks are programs."""
    if language := OTHER_LANGUAGES.get(framework):
        told = f"A network in {language} can't be read here; write it as Caffe prototxt."
        raise serializers.ValidationError({"custom_network": told})


class NetworkForm(Form):
    """What POST /models/visualize-network takes; the framework also in the query string."""

    DESCRIPTIONS = descriptions.NETWORK

    custom_network = serializers.CharField(**NETWORK_TEXT)
    dataset = JobOf(Dataset, default=None)
    dataset_id = JobOf(Dataset, default=None)
    framework = serializers.ChoiceField(FRAMEWORKS, default="mxnet")

    def validate(self, form):
        refuse_other_languages(form["framework"])
        return {"text": form["custom_network"], "dataset": form["dataset"] or form["dataset_id"]}


class CustomizeForm(Form):
    """What POST /models/customize takes, in the query string or the body."""

    DESCRIPTIONS = descriptions.CUSTOMIZE

    network = serializers.CharField(max_length=100)
    snapshot_epoch = serializers.FloatField(default=0, min_value=-1)


class EvaluationForm(Form):
    """What POST /models/<id>/evaluation takes: which snapshot on which images."""

    DESCRIPTIONS = descriptions.EVALUATION

    snapshot_epoch = serializers.FloatField(default=None, min_value=-1)
    split = serializers.ChoiceField(Evaluation.Split.values, default=Evaluation.Split.VAL.value)


class StoredEvaluationForm(Form):
    """The query string of a model's evaluation."""

    DESCRIPTIONS = descriptions.STORED_EVALUATION

    snapshot_epoch = serializers.FloatField(default=None, min_value=-1)
    split = serializers.ChoiceField(Evaluation.Split.values, default=None)
