"""ModelKind, the declaration of a kind of models, and the registry of kinds."""

from dataclasses import dataclass

from digits_project.common import declarations
from models_app.choices import NetworkMethod

MAX_NAME = 14  # characters: the length of the column `kind`


@dataclass(frozen=True)
class Question:
    """The form on a model's page that runs a snapshot on an image: its texts, and the name of the route."""

    title: str
    button: str
    url_name: str


@dataclass(frozen=True)
class ModelKind:
    """A kind of models, such as classification: what a network's outputs mean, and so what the server can do with it.

    name: the kind in the column and in routes; other apps register their part of it under the same name
        (datasets.kinds, inference.inference_kinds).
    label: DIGITS's words for it, as in /status.
    methods: the ways to choose its network; the first is the default of the form.
    has_categories: whether the network gives a score to each category of its dataset, whose number then decides the
        width of its last layers. Such a model needs a dataset with categories; any other accepts every dataset.
    is_evaluated: whether predictions can be compared with the truth. If so, a training's best snapshot is evaluated.
    question: the form on the model's page.
    """

    name: str
    label: str
    methods: tuple[NetworkMethod, ...]
    has_categories: bool
    is_evaluated: bool
    question: Question


KINDS: dict[str, ModelKind] = {}  # by name


def register(kind: ModelKind) -> ModelKind:
    """Add a kind, after those that are registered already."""
    return declarations.add(KINDS, kind, "a kind {!r} of models", MAX_NAME)


def kind_choices() -> list[tuple[str, str]]:
    """The choices of the column. A function, so that a new kind needs no migration for them."""
    return [(kind.name, kind.label) for kind in KINDS.values()]
