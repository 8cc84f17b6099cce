"""The model form, and a model as JSON."""

from rest_framework import serializers

from datasets.models import Dataset
from digits_project.api import Form
from digits_project.jobs.models import find_job
from digits_project.jobs.wire import describe_job
from models_app import descriptions, networks
from models_app.models import MOST_EPOCHS, MOST_IMAGES_A_BATCH, Metric, TrainedModel
from models_app.training.config import SOLVERS
from models_app.training.engines import MODULES
from models_app.training.schedule import POLICIES, Policy

MOST_POINTS = 200  # of a curve, unless ?points=all


class Numbers(serializers.CharField):
    """Numbers with commas between them, "50,85", as a list of floats."""

    def to_representation(self, value):
        return ",".join(f"{number:g}" for number in value)

    def to_internal_value(self, data):
        text = super().to_internal_value(data)
        try:
            return [float(part) for part in text.split(",")]
        except ValueError as wrong:
            raise serializers.ValidationError("Numbers with commas between them are wanted, such as 50,85.") from wrong


class DatasetId(serializers.CharField):
    """A dataset's job id; the value is its row."""

    def to_internal_value(self, data):
        dataset = find_job(super().to_internal_value(data), Dataset)
        if dataset is None:
            raise serializers.ValidationError("There is no dataset of that id.")
        return dataset


class UseMean(serializers.ChoiceField):
    """none, image or pixel; older clients send 0 for none and 1 for image."""

    def to_internal_value(self, data):
        return super().to_internal_value({"0": "none", "1": "image"}.get(str(data), data))


def _positive(default: float) -> serializers.FloatField:
    return serializers.FloatField(default=default, min_value=1e-30, max_value=1e30)


def _number(default: float) -> serializers.FloatField:
    return serializers.FloatField(default=default, min_value=0, max_value=1e30)


class ClassificationModelForm(Form):
    """What POST /models/images/classification takes. Valid data are create_model's arguments."""

    WIRE_NAMES = {"name": "model_name", "standard_network": "standard_networks"}
    DESCRIPTIONS = descriptions.CLASSIFICATION

    model_name = serializers.CharField(max_length=255)
    dataset = DatasetId()
    method = serializers.ChoiceField(["standard"], default="standard")
    standard_networks = serializers.ChoiceField(list(networks.STANDARD))
    framework = serializers.ChoiceField(list(MODULES), default="mxnet")
    train_epochs = serializers.IntegerField(default=30, min_value=1, max_value=MOST_EPOCHS)
    snapshot_interval = _number(1)
    val_interval = _number(1)
    random_seed = serializers.IntegerField(default=None, min_value=0, max_value=2**31 - 1)
    batch_size = serializers.IntegerField(default=None, min_value=1, max_value=MOST_IMAGES_A_BATCH)
    solver_type = serializers.ChoiceField(SOLVERS, default="SGD")
    learning_rate = _positive(Policy.learning_rate)
    lr_policy = serializers.ChoiceField(POLICIES, default=Policy.lr_policy)
    lr_step_size = _positive(Policy.lr_step_size)
    lr_step_gamma = _number(Policy.lr_step_gamma)
    lr_multistep_values = Numbers(default=Policy.lr_multistep_values, max_length=1000)
    lr_multistep_gamma = _number(Policy.lr_multistep_gamma)
    lr_exp_gamma = _number(Policy.lr_exp_gamma)
    lr_inv_gamma = _number(Policy.lr_inv_gamma)
    lr_inv_power = _number(Policy.lr_inv_power)
    lr_poly_power = _number(Policy.lr_poly_power)
    lr_sigmoid_step = _number(Policy.lr_sigmoid_step)
    lr_sigmoid_gamma = _number(Policy.lr_sigmoid_gamma)
    use_mean = UseMean(["none", "image", "pixel"], default="image")

    def validate(self, form):
        """Form names to column names; of the policies' parameters only those of the chosen one are kept."""
        del form["method"]
        for column, wire_name in self.WIRE_NAMES.items():
            form[column] = form.pop(wire_name)
        given = {name: form.pop(name) for name in list(form) if name.startswith("lr_") and name != "lr_policy"}
        chosen = f"lr_{form['lr_policy']}_"
        form["lr_parameters"] = {name: value for name, value in given.items() if name.startswith(chosen)}
        return form


def model_json(model: TrainedModel, every_point: bool = False) -> dict:
    """GET /models/<id>.json"""
    outputs = {f"{split}_outputs": curve(model, split, every_point) for split in Metric.Split.values}
    return describe_job(
        model,
        snapshots=[epoch_json(epoch) for epoch in model.snapshots.order_by("epoch").values_list("epoch", flat=True)],
        dataset_id=model.dataset_id,
        **{name: points for name, points in outputs.items() if points["epoch"]},
    )


def curve(model: TrainedModel, split: str, every_point: bool) -> dict:
    """`{"epoch": […], "loss": […], "accuracy": […]}`, at most 200 points unless every one is wanted.

    They are thinned evenly; the first and the last always stay.
    """
    rows = list(model.metrics.filter(split=split).order_by("epoch").values_list("epoch", "loss", "accuracy"))
    if len(rows) > MOST_POINTS and not every_point:
        last = len(rows) - 1
        rows = [rows[round(i * last / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]
    epochs, losses, accuracies = zip(*rows, strict=True) if rows else ((), (), ())
    return {"epoch": [epoch_json(epoch) for epoch in epochs], "loss": list(losses), "accuracy": list(accuracies)}


def epoch_json(epoch: float) -> float | int:
    """1, or 0.5."""
    return int(epoch) if epoch == int(epoch) else epoch
