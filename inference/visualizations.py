"""Pictures and statistics of the weights and activations of every layer, for one image."""

import json

import numpy as np

from digits_project.common.errors import BadInput
from digits_project.common.shared_memory.web_processes import shared
from inference import services
from inference.engine.activations import activations
from inference.engine.array_picture import picture
from inference.engine.distribution import distribution
from models_app.models import Snapshot
from models_app.training.snapshots.snapshot_check import damaged, verify, weight_files
from models_app.training.snapshots.snapshot_reader import StoredWeights

SOURCES = ("Data", "Input")  # layers whose pictures are in colour
SPANS = {"Softmax": (0.0, 1.0)}  # fixed ranges of layers with meaningful absolute values


def visualizations(snapshot: Snapshot, pixels: np.ndarray) -> list[dict]:
    """The weights and the activations of every layer for one image, uint8 H×W×C, in DIGITS's format:

    `{name, vis_type: "Weights", layer_type, param_count, data_stats, image_html}`, of the weights, not of the bias, and
    `{name, vis_type: "Activation", data_stats, image_html}`; data_stats as in distribution, image_html as in picture.
    """
    predictor = services.predictor(snapshot)
    layers = json.loads(predictor.metadata["layers"])
    with shared().one_at_a_time:  # each loads the whole network once more
        made = _activations(snapshot, layers, {predictor.source: predictor.batch(pixels[None])})
        with services.whole(snapshot):
            verify(*weight_files(snapshot.directory))
            stored = StoredWeights(snapshot.directory)
            return [
                entry
                for layer in layers
                for entry in (*_weights(snapshot, stored, layer), *made.get(layer["name"], ()))
            ]


def _activations(snapshot: Snapshot, layers: list[dict], feed: dict[str, np.ndarray]) -> dict[str, list[dict]]:
    """{layer: its activations}. A layer that only passes its input through, such as Dropout, has none."""
    owners: dict[str, tuple[dict, str]] = {}
    tops: set[str] = set()
    for layer in layers:
        for top, value in layer["values"].items():
            # A layer that works in place reuses the name of its input, so its own name is shown instead.
            owners.setdefault(value, (layer, layer["name"] if top in tops else top))
        tops.update(layer["values"])
    made: dict[str, list[dict]] = {}
    for value, numbers in activations(snapshot.onnx_file, list(owners), feed):
        layer, name = owners[value]
        shown = _shown(numbers, layer["type"] in SOURCES, SPANS.get(layer["type"]))
        made.setdefault(layer["name"], []).append({"name": name, "vis_type": "Activation", **shown})
    return made


def _weights(snapshot: Snapshot, stored: StoredWeights, layer: dict) -> list[dict]:
    if not layer["weights"]:
        return []
    try:
        arrays = list(stored.load(layer["weights"]).values())
    except BadInput as wrong:
        raise damaged(snapshot.onnx_file, wrong) from wrong
    facts = {"layer_type": layer["type"], "param_count": sum(array.size for array in arrays)}
    return [{"name": layer["name"], "vis_type": "Weights", **facts, **_shown(arrays[0], colour=True)}]


def _shown(numbers: np.ndarray, colour: bool, span: tuple[float, float] | None = None) -> dict:
    return {"data_stats": distribution(numbers), "image_html": picture(numbers, colour, span)}
