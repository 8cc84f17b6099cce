"""Checks whether a model can be trained: those that concern several columns or its dataset."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from digits_project.common.errors import BadInput
from digits_project.jobs.models import Status
from digits_project.jobs.scheduling import device_choice
from models_app.choices import NETWORK_COLUMNS, NetworkMethod
from models_app.hyperparameter_columns import IN_COLUMNS
from models_app.networks import BadNetwork, Network, prototxt
from models_app.networks.fine_tuning import ALL, HEAD, FineTuning, tuned
from models_app.networks.size_warnings import size_warnings
from models_app.sizes import input_sizes
from models_app.training import engines
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.image_checks import check_images
from models_app.training.augmentation.soft_labels import soft_label_width
from models_app.training.class_weights import check_weighable
from models_app.training.config import NO_NORMALIZATION
from models_app.training.features.plan import check_room, planned_parts
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training.hyperparameters import NETWORK
from models_app.training.learning_rate import PLATEAU

NO_CATEGORIES = "Its dataset is generic, so its images have no categories."
NEEDS_WEIGHTS = (
    "What is not trained needs weights to start from: method=pretrained, method=previous with a snapshot, or a "
    "custom_network_snapshot."
)

if TYPE_CHECKING:
    from models_app.models import TrainedModel


def wrong_columns(model: TrainedModel) -> dict[str, str]:
    """{column: message} of all errors; the key of a learning rate policy's parameter is its own name."""
    wrong = _wrong_bounds(model) | _wrong_policy(model)
    network = NETWORK_COLUMNS.get(model.method, "method")
    if not getattr(model, network):
        wrong[network] = "This field is required."
    for column, check in CHECKS.items():
        wrong |= _complaint(column, check, model)
    if "dataset" in wrong:
        return wrong
    for column, check in CHECKS_WITH_DATASET.items():
        wrong |= _complaint(column, check, model)
    if not wrong.keys() & {network, "crop_size", "input_size"} and not model.network_is_checked:
        wrong |= _complaint(network, _check_network, model)
    return wrong


def _complaint(column: str, check: Callable[[TrainedModel], None], model: TrainedModel) -> dict[str, str]:
    try:
        check(model)
    except BadHyperparameter as wrong:
        return {wrong.field: str(wrong)}
    except BadInput as wrong:
        return {column: str(wrong)}
    return {}


def _wrong_bounds(model: TrainedModel) -> dict[str, str]:
    """{column: message} for values that equal an exclusive bound, which the columns' validators let pass."""
    fractions = [declared for declared in IN_COLUMNS if not declared.takes_whole_numbers]
    values = {declared: getattr(model, declared.wire_name) for declared in fractions}
    return {
        declared.wire_name: declared.error_of(value)
        for declared, value in values.items()
        if value is not None and value in (declared.above, declared.below)
    }


def _wrong_policy(model: TrainedModel) -> dict[str, str]:
    try:
        model.policy().check_rates()
    except BadHyperparameter as wrong:
        return {wrong.field: str(wrong)}
    return {}


def _check_dataset(model: TrainedModel) -> None:
    if model.dataset.status in (Status.ABORTED, Status.ERROR):
        raise BadInput(f"Its status is {model.dataset.status}; choose a dataset that is or will be Done.")
    if model.declared_kind.has_categories and not model.dataset.declared_kind.has_categories:
        raise BadInput("It is a generic dataset; a classifier needs one for classification.")


def _check_previous(model: TrainedModel) -> None:
    if model.previous and model.previous.kind != model.kind:
        raise BadInput(f"It is a model of another kind: {model.previous.TYPE}.")


def _check_patience(model: TrainedModel) -> None:
    if model.early_stop_patience and not model.val_interval:
        raise BadInput("This counts validations, but val_interval is 0, so there are none.")


def _check_head_epochs(model: TrainedModel) -> None:
    if model.head_epochs and model.head_epochs >= model.train_epochs:
        raise BadInput(
            f"These {model.head_epochs:g} epochs train only the head, so train_epochs ({model.train_epochs:g}) must be "
            "more, or nothing else would be trained. To train only the head, take train_layers=head."
        )


def _check_policy(model: TrainedModel) -> None:
    if model.lr_policy != PLATEAU:
        return
    if not model.val_interval:
        raise BadInput("The policy plateau reads validations, but val_interval is 0, so there are none.")
    if model.dataset.status == Status.DONE and not model.dataset.entries("val"):
        raise BadInput("The policy plateau reads validations, but the dataset has no images for validation.")


def _check_crop(model: TrainedModel) -> None:
    height, width = model.dataset.image_shape[1:]
    if model.crop_size and model.dataset.shapes_are_known and model.crop_size > min(height, width):
        raise BadInput(f"This is larger than the images, which are {width}×{height}.")


def _check_balance(model: TrainedModel) -> None:
    if model.balance_classes and not model.dataset.declared_kind.has_categories:
        raise BadInput(NO_CATEGORIES)


def _check_augmentation(model: TrainedModel) -> None:
    settings, dataset = Augmentation.of(model), model.dataset
    if dataset.shapes_are_known:
        check_images(settings, dataset.image_shape)
    if settings.has_soft_labels and not dataset.declared_kind.has_categories:
        raise BadHyperparameter(settings.soft_label_cause, NO_CATEGORIES)


def _check_network(model: TrainedModel) -> None:
    """Check the network, and store which engines can train it."""
    network, dataset = _network_of(model), model.dataset
    with prototxt.located(model.custom_network) if model.method == NetworkMethod.CUSTOM else nullcontext():
        if dataset.categories and not network.label_shape:
            network.check_categories(len(dataset.categories))
        if dataset.shapes_are_known and not model.starts_from_weights:
            network.check_fresh()
    if model.use_mean == NETWORK and network.normalization is None:
        raise BadHyperparameter("use_mean", NO_NORMALIZATION.capitalize())
    _check_fine_tuning(model, network)
    if model.balance_classes and dataset.declared_kind.has_categories:
        check_weighable(network)
    if dataset.declared_kind.has_categories:
        soft_label_width(Augmentation.of(model), network)
    model.usable_engines = engines.engines_of_network(network, model.engine, model)
    if model._state.adding:
        _check_devices(model)
        if dataset.shapes_are_known:
            side = min(dataset.image_shape[1:]) if model.input_size else None
            model.warnings = size_warnings(network, input_sizes.designed_for(model), side)


def _check_devices(model: TrainedModel) -> None:
    """Raise BadHyperparameter if only some of the engines can train the model, and these can use no device."""
    if len(model.usable_engines) == len(engines.candidates(model.engine)):
        return  # the form has checked them
    try:
        device_choice.check(model.device_request())
    except BadInput as wrong:
        able = " and ".join(engines.ENGINES[name].title for name in model.usable_engines)
        raise BadHyperparameter("engine", f"Only {able} can train this model. {wrong}") from wrong


def _network_of(model: TrainedModel) -> Network:
    """The model's network. Raises BadInput; if the network fits the images of the dataset, but not input_size, that
    names input_size."""
    try:
        return model.network()
    except BadNetwork as wrong:
        if model.input_size is None:
            designed_for = input_sizes.designed_for(model)
            if designed_for is None or not _fits_at(model, designed_for):
                raise
            if input_sizes.has_own_size(model):
                raise BadInput(f"{wrong}. Without crop_size the images are scaled to that") from wrong
            raise BadInput(f"{wrong}; an input_size, such as {designed_for}, scales the images") from wrong
        if model.method == NetworkMethod.CUSTOM and not _fits_at(model, None):
            raise
        size = f"{model.input_size}×{model.input_size}"
        raise BadHyperparameter("input_size", f"The network can't take images of {size}: {wrong}.") from wrong


def _fits_at(model: TrainedModel, input_size: int | None) -> bool:
    size, model.input_size = model.input_size, input_size
    try:
        model.network()
    except BadNetwork:
        return False
    finally:
        model.input_size = size
    return True


def _check_fine_tuning(model: TrainedModel, network: Network) -> None:
    how = FineTuning(**{name: getattr(model, name) for name in FineTuning.__dataclass_fields__})
    if how.keeps_averages and not model.starts_from_weights:
        field = "freeze_batch_norm" if how.train_layers == ALL else "train_layers"
        raise BadHyperparameter(field, NEEDS_WEIGHTS)
    if model.head_epochs and not model.starts_from_weights:
        raise BadHyperparameter("head_epochs", NEEDS_WEIGHTS)
    phases = [replace(how, train_layers=HEAD), how] if model.head_epochs else [how]
    try:
        for phase in phases:
            trained = tuned(network, phase)
            if model.dataset.shapes_are_known:
                trained.check_trainable("train")
                _check_features(model, trained, phase.train_layers)
    except BadNetwork as wrong:
        raise BadHyperparameter("train_layers", str(wrong).capitalize()) from wrong


def _check_features(model: TrainedModel, network: Network, train_layers: str) -> None:
    dataset = model.dataset
    parts = planned_parts(network, train_layers, model.feature_views, Augmentation.of(model))
    if parts and model.feature_views and dataset.status == Status.DONE:
        check_room(dataset.entries("train"), model.feature_views, parts.size)


CHECKS = {
    "dataset": _check_dataset,
    "previous": _check_previous,
    "early_stop_patience": _check_patience,
    "head_epochs": _check_head_epochs,
}
CHECKS_WITH_DATASET = {
    "lr_policy": _check_policy,
    "crop_size": _check_crop,
    "balance_classes": _check_balance,
    "aug_policy": _check_augmentation,
}
