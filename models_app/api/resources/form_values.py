"""The fields of the form that would create a model again."""

from typing import Any

from models_app import network_texts, recipes
from models_app.api.serializers import FORMS
from models_app.models import NetworkMethod, TrainedModel


def form_values(model: TrainedModel) -> dict[str, Any]:
    """{field: value} of the form that would create the same model again, even if the model that it was built on is
    changed or deleted."""
    form = FORMS[model.kind]()
    columns = {name: getattr(model, name) for name in form.names() if hasattr(model, name) and name != "dataset"}
    columns |= model.lr_parameters | {"learning_rate": [model.learning_rate], "batch_size": [model.batch_size]}
    values = {
        name: form.fields[name].to_representation(value) if name in form.fields else value
        for name, value in columns.items()
        if value is not None
    }
    values |= {
        "dataset": model.dataset_id,
        "recipe": recipes.CLASSIC.name,  # the fields have what the recipe of this model filled in
        "model_name": model.name,
        "standard_networks": model.standard_network,
        "previous_networks": model.previous_id or "",
        "pretrained_networks": model.pretrained_networks,
        "select_gpus": "",
        "select_gpus_list": ",".join(map(str, model.select_gpus)),
    }
    if model.method == NetworkMethod.PREVIOUS and not model.previous_id:  # it was deleted
        return values | network_texts.as_new_network(model)
    if model.previous_id and model.previous_epoch is not None:
        values[f"{model.previous_id}-snapshot"] = f"{model.previous_epoch:g}"
    return values
