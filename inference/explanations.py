"""Explains a prediction: a map of the parts of the image that speak for a category."""

import json
from collections.abc import Sequence
from functools import partial

import numpy as np

from datasets.imagedb.images.formats import png_url
from digits_project.common.errors import BadInput
from digits_project.common.shared_memory.web_processes import shared
from inference import services
from inference.engine import saliency
from inference.engine.activations import activations
from inference.engine.heat import heat, importance, picture_of
from inference.engine.predictor import Predictor
from models_app.models import Snapshot
from models_app.training.snapshots.snapshot_check import damaged, verify, weight_files
from models_app.training.snapshots.snapshot_reader import StoredWeights

CAM, OCCLUSION = "class activation map", "occlusion"
LAST_LAYERS = 12  # before the linear layer; one of these is what the pooling gets
MAX_GRID = 32  # rows and columns of the grid in a response


def explain(snapshot: Snapshot, pixels: np.ndarray, category: str = "") -> dict:
    """Why a classifier sees a category, by default the best one, in an image, uint8 H×W×C:

    `{category, method, grid, png, image, deletion, insertion}`. `grid` has rows of numbers from 0 to 1, `png` is a
    picture of it, to lay over `image`, the image as the dataset's images are. Raises BadInput for an unknown
    category, CanNotClassify.
    """
    predictor = services.predictor(snapshot)
    scores = partial(services.scores, snapshot, predictor)
    number = _number(snapshot, category, scores(pixels[None])[0])
    with shared().one_at_a_time:  # hundreds of runs, or the whole network loaded once more
        found = _class_activation_map(snapshot, predictor, pixels, number)
        method = OCCLUSION if found is None else CAM
        if found is None:
            found = saliency.occlusion_map(scores, pixels, number)
        deletion, insertion = saliency.deletion_and_insertion(scores, pixels, found, number)
    parts = importance(found)
    return {
        "category": snapshot.trained_model.dataset.category_names[number],
        "method": method,
        "grid": np.round(_grid(parts), 3).tolist(),
        "png": png_url(heat(parts)),
        "image": png_url(picture_of(pixels)),
        "deletion": round(deletion, 4),
        "insertion": round(insertion, 4),
    }


def _number(snapshot: Snapshot, category: str, scores: np.ndarray) -> int:
    names = snapshot.trained_model.dataset.category_names
    if not category:
        return int(scores.argmax())
    if category not in names:
        raise BadInput(f"explain_category: {snapshot.trained_model.name} has no category {category[:50]}.")
    return names.index(category)


def _class_activation_map(
    snapshot: Snapshot, predictor: Predictor, pixels: np.ndarray, category: int
) -> np.ndarray | None:
    """The map, float32 H×W of the image; None if the network does not end in pooling and one linear layer."""
    layers = json.loads(predictor.metadata["layers"])
    feed = {predictor.source: predictor.batch(pixels[None])}
    scores = predictor.scores(pixels[None])[0]
    weights, bias, before = _linear_layer(snapshot, layers, len(scores))
    names = [value for layer in before for value in layer["values"].values()]
    network_input = list(layers[0]["values"].values())[:1]
    sides: tuple[int, ...] = feed[predictor.source].shape[2:]
    found = None
    for name, values in activations(snapshot.onnx_file, list(dict.fromkeys(network_input + names)), feed):
        if name in network_input and values.ndim == 3:
            sides = values.shape[1:]
        if name in names and values.ndim == 3 and values[0].size > 1:
            for linear in ((weights, bias), (None, None)):
                fits = linear[0] is None or linear[0].shape[1] == len(values)
                cam = saliency.class_activation_map(values, *linear, scores, category) if fits else None
                found = found if cam is None else cam
    return None if found is None else _placed(found, sides, predictor, pixels.shape[:2])


def _linear_layer(
    snapshot: Snapshot, layers: Sequence[dict], outputs: int
) -> tuple[np.ndarray | None, np.ndarray | None, Sequence[dict]]:
    """(weights, outputs×C, bias, the layers before) of the last layer with weights, if it is linear; without weights
    and bias the last layers."""
    last = max((number for number, layer in enumerate(layers) if layer["weights"]), default=None)
    if last is None:
        return None, None, layers[-LAST_LAYERS:]
    with services.whole(snapshot):
        verify(*weight_files(snapshot.directory))
        try:
            arrays = list(StoredWeights(snapshot.directory).load(layers[last]["weights"]).values())
        except BadInput as wrong:
            raise damaged(snapshot.onnx_file, wrong) from wrong
    weights = arrays[0]
    if weights.ndim != 2 or len(weights) != outputs:
        return None, None, layers[-LAST_LAYERS:]
    return weights, arrays[1] if len(arrays) > 1 else None, layers[max(0, last - LAST_LAYERS) : last]


def _placed(found: np.ndarray, sides: Sequence[int], predictor: Predictor, size: tuple[int, ...]) -> np.ndarray:
    """The map of what the network gets, the middle of the image, as a map of the whole image. What the network does not
    get has the least value."""
    window = (predictor.resize.window,) * 2 if predictor.resize else tuple(sides)
    top, left = ((whole - part) // 2 for whole, part in zip(size, window, strict=True))
    made = np.full(size, found.min(), np.float32)
    made[top : top + window[0], left : left + window[1]] = saliency.scaled(found, *window)
    return made


def _grid(parts: np.ndarray) -> np.ndarray:
    return saliency.scaled(parts, *(min(side, MAX_GRID) for side in parts.shape))
