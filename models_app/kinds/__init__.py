"""The kinds of models: one for each task that a network can have, registered by name."""

from models_app.choices import NetworkMethod
from models_app.kinds.model_kind import KINDS, MAX_NAME, ModelKind, Question, kind_choices, register

CLASSIFICATION = register(
    ModelKind(
        "classification",
        label="Image Classification Model",
        methods=(NetworkMethod.STANDARD, NetworkMethod.PREVIOUS, NetworkMethod.PRETRAINED, NetworkMethod.CUSTOM),
        has_categories=True,
        is_evaluated=True,
        question=Question("Classify an image", "Classify", "classify-one-json"),
    )
).name
GENERIC = register(
    ModelKind(
        "generic",
        label="Generic Image Model",
        methods=(NetworkMethod.CUSTOM, NetworkMethod.PREVIOUS),
        has_categories=False,
        is_evaluated=False,
        question=Question("Outputs for an image", "Ask", "infer-one-json"),
    )
).name

__all__ = ["CLASSIFICATION", "GENERIC", "KINDS", "MAX_NAME", "ModelKind", "Question", "kind_choices", "register"]
