"""Networks for the forms: checks, standard networks as prototxt, pictures, and the curve of a learning rate."""

from typing import Any

from django.core.exceptions import ValidationError

from datasets.models import Dataset
from digits_project.common.errors import BadInput
from models_app import networks
from models_app.models import NetworkMethod, TrainedModel
from models_app.networks import Network, TimmNetwork, prototxt
from models_app.networks.drawing import svg
from models_app.networks.retrain import for_any_dataset
from models_app.networks.timm import timm_catalogue
from models_app.training.learning_rate import LearningRatePolicy, learning_rate

LOSSES = ("EuclideanLoss", "SigmoidCrossEntropyLoss")  # losses for labels of any shape
USUAL_IMAGES, USUAL_CATEGORIES = (3, 256, 256), 1000  # assumed if there is no dataset


def model_errors(**fields) -> dict[str, list[str]]:
    """{column: messages} of the errors of a model with these columns, `dataset` included.

    Missing columns have their defaults. Nothing is saved.
    """
    model = TrainedModel(**fields)
    try:
        if model.previous:
            model.previous_network = model.previous.network().to_dict()
            model.previous_categories = model.previous.categories
        if model.pretrained:
            for column, value in model.pretrained.columns().items():
                setattr(model, column, value)
        model.clean()
    except BadInput as wrong:
        return {"previous": [str(wrong)]}
    except ValidationError as wrong:
        return wrong.message_dict
    return {}


def syntax_error(text: str) -> str:
    """The error of a prototxt that no dataset could fix; "" if there is none."""
    try:
        prototxt.batch_size(text)
    except BadInput as wrong:
        return str(wrong)
    return ""


def prototxt_of(model: TrainedModel) -> str:
    """The model's network as prototxt, as a template for another model; a custom network as it was written. Raises
    BadInput."""
    if model.method == NetworkMethod.CUSTOM:
        return model.custom_network
    network = model.network()
    return prototxt.write(for_any_dataset(network, model.categories) if model.declared_kind.has_categories else network)


def as_new_network(model: TrainedModel) -> dict[str, str]:
    """The fields of the form that describe the model's network without the model from which it was taken. Raises
    BadInput."""
    network = model.network()
    if isinstance(network, TimmNetwork):
        return {"method": NetworkMethod.STANDARD.value, "standard_networks": network.name}
    return {"method": NetworkMethod.CUSTOM.value, "custom_network": prototxt_of(model)}


def standard_prototxt(name: str) -> str:
    """A standard network as prototxt, without a fixed image size."""
    return prototxt.write(for_any_dataset(networks.standard(name, USUAL_IMAGES, USUAL_CATEGORIES), USUAL_CATEGORIES))


def timm_networks() -> dict[str, Any]:
    """All networks of timm that can be trained, with what is known of each."""
    facts = map(timm_catalogue.facts_of, timm_catalogue.names())
    networks = {
        timm_catalogue.PREFIX + one.name: {
            "size": one.size,
            "sizes": one.sizes(),
            "parameters": one.parameters,
            "weights": [weights.tag for weights in one.weights],
        }
        for one in facts
    }
    return {"timm": timm_catalogue.version(), "networks": networks}


def picture_of(text: str, dataset: Dataset | None) -> str:
    """A prototxt as an SVG picture, for a dataset or, without one, for usual images and labels.

    Raises BadInput.
    """
    if dataset is None or not dataset.shapes_are_known:
        return svg.svg(_assumed_network(text))
    categories = len(dataset.categories) or 2 if dataset.declared_kind.has_categories else None
    return svg.svg(prototxt.read(text, dataset.image_shape, categories, tuple(dataset.label_shape)))


def _assumed_network(text: str) -> Network:
    """The network as a classifier if possible, else for labels of the shape that its loss needs."""
    network = prototxt.read(text, USUAL_IMAGES, USUAL_CATEGORIES, checked=False)
    try:
        network.check()
    except BadInput:
        shapes = prototxt.read(text, USUAL_IMAGES, checked=False).shapes()
        compared = [layer.bottoms[0] for layer in network.layers if layer.type in LOSSES if layer.bottoms]
        return prototxt.read(text, USUAL_IMAGES, label_shape=next((shapes.get(top, ()) for top in compared), ()))
    return network


def learning_rates(base: float, lr_parameters: dict, **shared) -> list[float]:
    """The rate at every percent of a training, from 0 to 100; that of `plateau` as if there were no plateau. Raises
    BadInput.

    `shared` are the values that every policy has, but for the base rate.
    """
    policy = LearningRatePolicy(learning_rate=base, **shared, **lr_parameters)
    return [learning_rate(policy, percent) for percent in range(101)]


def starts_from(model: TrainedModel) -> str:
    """The weights that a training starts from, by the columns that stay when what they came from is deleted."""
    if model.packaged_weights:
        return f"the installed weights {model.packaged_weights}"
    if model.method == NetworkMethod.PRETRAINED:
        return "a pretrained model" if model.pretrained_id else "a pretrained model that was deleted since"
    if model.previous_epoch is not None:
        deleted = "" if model.previous_id else " that was deleted since"
        return f"epoch {model.previous_epoch:g} of another model{deleted}"
    return "a file of weights" if model.custom_network_snapshot else "random weights"
