"""What PyTorch's engine does with networks of timm: `python -m tests.support.engines.timm_runs NAME SIDE LAYERS …`, in
the Python of PyTorch, takes two steps with each network, in which these layers are trained, and prints a JSON object.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from models_app.networks import standard
from models_app.networks.fine_tuning import FineTuning, tuned
from models_app.training.engines import EngineConfig, described, initial_weights, open_engine, resized_weights
from models_app.training.features.backbone import Backbone
from models_app.training.features.division import divide
from models_app.training.snapshots.onnx_arrays import onnx_weights

LABELS = ["a", "b", "c", "d", "e"]
SETTINGS = {"devices": ("cpu",), "threads": 1, "seed": 1, "batch_size": 4, "solver_type": "ADAMW", "ema": 0.9}


def difference_of_head(network, weights: dict, engine, images) -> float:
    """The largest difference between the scores of the head on features, and those of the whole network."""
    parts, own = divide(tuned(network, FineTuning("head"))), network.normalization
    with tempfile.TemporaryDirectory() as folder:
        backbone = Backbone(parts, weights, own.mean_array(), own.scale_array())
        features = backbone.open(Path(folder)).run(images)
    [head] = network.facts.classifier
    scores = np.exp(features @ weights[f"{head}.weight"].T + weights[f"{head}.bias"])
    return float(np.abs(scores / scores.sum(1, keepdims=True) - engine.forward(images)["softmax"]).max())


def not_resized(network) -> list[str]:
    """The tensors that weights for images of the network's own size don't have in the shapes of this size."""
    own = described(standard(network.name, (3, network.facts.size, network.facts.size), len(LABELS)), "torch")
    found = resized_weights(network, initial_weights(own, "torch", seed=1))
    return [name for name, tensor in network.tensors.items() if found[name].shape != tensor.shape]


def run(name: str, side: int, layers: str) -> dict:
    network = described(standard(f"timm/{name}", (3, side, side), len(LABELS)), "torch")
    weights = initial_weights(network, "torch", seed=1)
    own = network.normalization
    config = EngineConfig(
        network=tuned(network, FineTuning(layers)), mean=own.mean_array(), scale=own.scale_array(), **SETTINGS
    )
    drawn = np.random.default_rng(1)
    images = drawn.integers(0, 256, (4, 3, side, side), np.uint8)
    labels = np.arange(4, dtype=np.float32)
    engine, other = (open_engine("torch", config) for _ in range(2))
    noise = {w.name: drawn.normal(0, 0.1, w.shape).astype(np.float32) for w in network.weights() if w.learned}
    engine.load_weights(weights | noise)
    engine.forward(images)  # some networks keep what they computed from their weights
    engine.load_weights(weights)
    engine.train_batch(images, labels, 1e-3)
    other.load_weights(engine.weights())
    other.load_optimizer_state(engine.optimizer_state())
    for each in (engine, other):
        each.train_batch(images, labels, 1e-3)
    trained = engine.weights()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        larger = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
        engine.export(path, trained, LABELS, {"epoch": "1"}, larger.shape[1:])
        session = onnxruntime.InferenceSession(path)
        held = onnx_weights(path)
        scores = [session.run(None, {"data": larger[:count].astype(np.float32)})[0] for count in (1, 4)]
        properties = session.get_modelmeta().custom_metadata_map
        differing = [name for name, array in trained.items() if not np.array_equal(held[name], array)]
    expected = engine.forward(images)["softmax"]
    return {
        "name": name,
        "drawn_alike": all(np.array_equal(a, weights[n]) for n, a in initial_weights(network, "torch", 1).items()),
        "loss": engine.training_scores().loss,
        "changed": sorted(name for name in weights if not np.array_equal(weights[name], trained[name])),
        "learned": sorted(weight.name for weight in network.weights() if weight.learned),
        "same_after_resume": all(np.array_equal(array, trained[name]) for name, array in other.weights().items()),
        "same_answers": np.array_equal(other.forward(images)["softmax"], expected),
        "difference": max(float(np.abs(found - expected[: len(found)]).max()) for found in scores),
        "differing": differing,
        "layers": json.loads(properties["layers"]),
        "difference_of_head": difference_of_head(network, trained, engine, images) if network.facts.features else None,
        "not_resized": not_resized(network) if network.facts.is_built_for_size else None,
    }


if __name__ == "__main__":
    for name, side, layers in zip(*[iter(sys.argv[1:])] * 3, strict=True):
        print(json.dumps(run(name, int(side), layers)), flush=True)
