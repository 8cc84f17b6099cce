"""The model forms."""

from rest_framework import serializers

from datasets.imagedb.images.resize import MAX_SIDE
from datasets.models import Dataset
from digits_project.api import digits_fields
from digits_project.api.forms import EMPTY, choice_in
from digits_project.common.errors import BadInput
from digits_project.common.job_ids import is_job_id
from digits_project.jobs.api.job_forms import group_field
from digits_project.jobs.models import DeviceRequest
from digits_project.jobs.scheduling import device_choice, devices
from models_app import network_texts
from models_app.api import model_descriptions
from models_app.api.hyperparameter_fields import form_fields
from models_app.api.model_fields import (
    GpuField,
    GpuList,
    JobOf,
    NetworkText,
    PretrainedNetwork,
    SnapshotField,
    WeightsFile,
)
from models_app.api.network_forms import (
    FRAMEWORK_ENGINES,
    FRAMEWORKS,
    StandardNetworkField,
    wrong_language,
    wrong_syntax,
)
from models_app.api.recipe_form import RecipeForm, with_lists
from models_app.api.search_form import SEARCH_FIELDS, SearchForm
from models_app.choices import MAX_GPUS, NetworkMethod, engine_names
from models_app.kinds import CLASSIFICATION, GENERIC, KINDS
from models_app.models import TrainedModel
from models_app.networks import find_standard
from models_app.networks.fine_tuning import FineTuning
from models_app.networks.timm.timm_catalogue import is_timm
from models_app.results import Snapshot, Which
from models_app.services import MAX_COMBINATIONS
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.engines import AUTO, candidates, spanning
from models_app.training.hyperparameter_declaration import hyperparameters_of
from models_app.training.hyperparameters import NETWORK, Hyperparameters
from models_app.training.learning_rate import LearningRatePolicy

WEIGHTS_NOT_READ = (
    "method={} does not read this file; only method=custom does. To start a published network from it, make a "
    "pretrained model of it (POST /pretrained_models/new) and send method=pretrained, or leave the field empty."
)
GPU_FIELDS = ("select_gpus_list", "select_gpus", "select_gpu")
OTHER_HYPERPARAMETERS = [
    declared
    for declared in sorted(hyperparameters_of(Hyperparameters), key=hyperparameters_of(Augmentation).__contains__)
    if declared not in hyperparameters_of(LearningRatePolicy)
]  # augmentation comes last


class ModelForm(SearchForm, RecipeForm):
    """The base of the forms that create models: the hyperparameters, and the fields below. The valid data are the
    arguments of create_models.

    Fields of methods that are not chosen are ignored.
    """

    page_template = "models_app/model_form.html"
    WIRE_NAMES = {"name": "model_name", "standard_network": "standard_networks", "previous": "previous_networks"}
    DESCRIPTIONS = model_descriptions.MODEL
    DIGITS_FIELDS = digits_fields.MODEL
    FIELDS_OF: dict[str, tuple[str, ...]] = {
        NetworkMethod.STANDARD: ("standard_networks",),
        NetworkMethod.PREVIOUS: ("previous_networks",),
        NetworkMethod.PRETRAINED: ("pretrained_networks",),
        NetworkMethod.CUSTOM: ("custom_network", "custom_network_snapshot"),
    }
    # The columns that are needed to check a network with its dataset, before there is a model.
    CHECKED_COLUMNS = (
        "dataset", "method", "standard_network", "custom_network", "custom_network_snapshot", "previous",
        "previous_epoch", "packaged_weights", "pretrained", "crop_size", "input_size", "use_mean", "val_interval",
        "early_stop_patience", "balance_classes", "lr_policy", "engine", "head_epochs",
        *FineTuning.__dataclass_fields__, *Augmentation.__dataclass_fields__,
    )  # fmt: skip
    FIRST = (
        "model_name",
        "dataset",
        "recipe",
        "method",
        *(name for names in FIELDS_OF.values() for name in names),
        "train_epochs",
    )
    LAST = (
        "group_name",
        *SEARCH_FIELDS,
        "select_gpu",
        "select_gpus",
        "select_gpus_list",
        "select_gpu_count",
        "dry_run",
    )

    model_name = serializers.CharField(max_length=255)
    group_name = group_field(default="")
    dataset = JobOf(Dataset)
    framework = serializers.ChoiceField(FRAMEWORKS, default="mxnet")
    engine = serializers.ChoiceField(engine_names(), default=AUTO)
    previous_networks = JobOf(TrainedModel, required=False)
    pretrained_networks = PretrainedNetwork(required=False)
    custom_network = NetworkText(required=False)
    custom_network_snapshot = WeightsFile(default="")
    crop_size = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, default=None)
    input_size = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, default=None)
    select_gpu = GpuField(default=[])
    select_gpus = GpuList(default=[])
    select_gpus_list = GpuList(default=[])
    select_gpu_count = serializers.IntegerField(min_value=1, max_value=MAX_GPUS, default=1)

    def unordered_fields(self):
        methods = KINDS[self.KIND].methods
        method = {"method": serializers.ChoiceField([method.value for method in methods], default=methods[0])}
        return super().unordered_fields() | method | form_fields(OTHER_HYPERPARAMETERS)

    def knows(self, name):
        """Adds `<id>-snapshot`, which DIGITS's page sends for each model in its list."""
        return super().knows(name) or (name.endswith("-snapshot") and is_job_id(name.removesuffix("-snapshot")))

    def to_internal_value(self, data):
        if not hasattr(data, "items"):
            return super().to_internal_value(data)
        self._sent = data = with_lists(data)
        return super().to_internal_value(data)

    def fields_for(self, data, fields):
        """The fields without those of the methods that are not chosen."""
        method = choice_in(data, "method", fields["method"])
        fields[self.FIELDS_OF[method][0]].required = not self._wrong_recipe
        others = {name for other, names in self.FIELDS_OF.items() if other != method for name in names}
        return {name: field for name, field in fields.items() if name not in others}

    def wrong_together(self, values):
        """Adds the errors of a model with these values, including those of its network with its dataset."""
        incomplete = len(values) < len(self.fields)
        wrong = super().wrong_together(values)
        self._add_pretrained(values)
        self._add_engine(values)
        checks = (self._wrong_epoch, self._wrong_weights, self._wrong_framework, self._wrong_devices)
        for check in (*checks, self._wrong_combinations):
            wrong |= check(values)
        if wrong or incomplete:  # otherwise the service reports it
            blamed = values.keys() - self._filled.values.keys()  # not what a recipe filled in for wrong fields
            wrong = {name: message for name, message in self._wrong_model(values).items() if name in blamed} | wrong
        return wrong

    def _add_pretrained(self, values) -> None:
        """Add the columns of the pretrained network. If use_mean is not sent, it is the network's normalization; that
        of a network of timm too, if it has one for the dataset's images."""
        chosen = values.get("pretrained_networks") or {}
        values |= chosen
        pretrained, dataset = chosen.get("pretrained"), values.get("dataset")
        has_own = bool(chosen) and (not pretrained or bool(pretrained.network.get("normalization")))
        if is_timm(values.get("standard_networks") or "") and dataset:
            own = find_standard(values["standard_networks"]).normalization
            has_own = own is not None and own.for_channels(dataset.image_shape[0]) is not None
        if has_own and self._sent.get("use_mean") in EMPTY:
            values["use_mean"] = NETWORK

    def _add_engine(self, values) -> None:
        """Without an engine, let the framework PyTorch of a script for DIGITS choose it, if a host has it."""
        chosen = FRAMEWORK_ENGINES.get(values.get("framework"))
        if chosen and self._sent.get("engine") in EMPTY and devices.is_anywhere(chosen):
            values["engine"] = chosen

    def _wrong_epoch(self, values) -> dict[str, str]:
        """Add the epoch of `<id>-snapshot` to the values: 0 for random weights, else a snapshot. Returns errors by
        field."""
        previous = values.get("previous_networks")
        if not previous:
            return {}
        field = f"{previous.pk}-snapshot"
        asked = self._sent.get(field)
        try:
            which = SnapshotField().run_validation(0 if asked in EMPTY else asked)
            snapshot = chosen_snapshot(previous, which, field)
        except serializers.ValidationError as wrong:
            detail = wrong.detail[field] if isinstance(wrong.detail, dict) else wrong.detail
            return {field: " ".join(map(str, detail)) if isinstance(detail, list) else str(detail)}
        values["previous_epoch"] = snapshot.epoch if snapshot else None
        return {}

    def _wrong_weights(self, values) -> dict[str, str]:
        """An error for a file of weights that the chosen method would not read."""
        method, sent = values.get("method", NetworkMethod.CUSTOM), self._sent.get("custom_network_snapshot")
        if method == NetworkMethod.CUSTOM or sent in EMPTY:
            return {}
        return {"custom_network_snapshot": WEIGHTS_NOT_READ.format(method)}

    def _wrong_framework(self, values) -> dict[str, str]:
        is_custom = values.get("method") == NetworkMethod.CUSTOM
        return wrong_language(values.get("framework")) if is_custom else {}

    def _wrong_devices(self, values) -> dict[str, str]:
        field, indexes = _gpus(values)
        try:
            names = candidates(values.get("engine", AUTO))
            count = values.get("select_gpu_count", 1)
            device_choice.check(DeviceRequest(tuple(indexes), count, names, spanning=spanning(names)))
        except device_choice.NoUsableDevice as wrong:
            return {"engine": str(wrong)}
        except BadInput as wrong:
            return {field: str(wrong)}
        return {}

    def _wrong_combinations(self, values) -> dict[str, str]:
        if len(values.get("learning_rate", ())) * len(values.get("batch_size") or [None]) <= MAX_COMBINATIONS:
            return {}
        return {
            "learning_rate": f"These are more than {MAX_COMBINATIONS} combinations of learning rates and batch sizes."
        }

    def _wrong_model(self, values) -> dict[str, str]:
        """{field: message} of errors of dataset and network together; without both only those of the prototxt's
        syntax."""
        network = self.FIELDS_OF.get(values.get("method"), ("method",))[0]
        if "dataset" not in values or not values.get(network):
            return wrong_syntax(values)
        columns = {self._column(name): value for name, value in values.items()}
        wrong = network_texts.model_errors(
            kind=self.KIND, **{n: v for n, v in columns.items() if n in self.CHECKED_COLUMNS}
        )
        return {self.WIRE_NAMES.get(column, column): " ".join(messages) for column, messages in wrong.items()}

    def _column(self, field: str) -> str:
        return next((column for column, wire_name in self.WIRE_NAMES.items() if wire_name == field), field)

    def validate(self, form):
        """Rename the fields to their columns."""
        form = super().validate(form)
        for column, wire_name in self.WIRE_NAMES.items():
            if wire_name in form:
                form[column] = form.pop(wire_name)
        form["framework"] = "mxnet"
        form.pop("pretrained_networks", None)
        _, chosen = _gpus(form)
        form = {name: value for name, value in form.items() if name not in GPU_FIELDS} | {"select_gpus": chosen}
        learning_rates, batch_sizes = form.pop("learning_rate"), form.pop("batch_size") or [None]
        return form | {"kind": self.KIND, "learning_rates": learning_rates, "batch_sizes": batch_sizes}


class ClassificationModelForm(ModelForm):
    """The form of POST /models/images/classification."""

    DESCRIPTIONS = model_descriptions.CLASSIFICATION
    KIND = CLASSIFICATION

    standard_networks = StandardNetworkField(required=False)


class GenericModelForm(ModelForm):
    """The form of POST /models/images/generic. It offers no standard networks, because all of them are classifiers."""

    DESCRIPTIONS = model_descriptions.GENERIC
    KIND = GENERIC


FORMS: dict[str, type[ModelForm]] = {form.KIND: form for form in (ClassificationModelForm, GenericModelForm)}


def chosen_snapshot(model: TrainedModel, which: Which, field: str) -> Snapshot | None:
    """The snapshot as results.chosen() decides, or none (0). Raises ValidationError for that field."""
    if which == 0:
        return None
    snapshot = model.snapshot_at(which)
    if snapshot is None:
        raise serializers.ValidationError({field: model.no_snapshot_at(which)})
    return snapshot


def _gpus(values) -> tuple[str, list[int]]:
    """(field, GPU numbers) of the one of three fields that chooses GPUs; ("select_gpu_count", []) without a choice."""
    field = next((name for name in GPU_FIELDS if values.get(name)), "select_gpu_count")
    return field, values[field] if field in GPU_FIELDS else []
