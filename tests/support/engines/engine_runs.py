"""Steps of an engine from given weights and batches, in any Python: `python -m tests.support.engines.engine_runs ENGINE
FOLDER` takes the steps of every run that was written into the folder with write_run(), and writes the results there.

So two engines can be compared, each in a Python of its own.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models_app.networks import Network
from models_app.training.engines import Engine, EngineConfig, open_engine

Arrays = dict[str, np.ndarray]
SETTINGS = {"mean": None, "devices": ("cpu",), "threads": 1, "seed": 0, "momentum": 0.9, "weight_decay": 0.0}


@dataclass(frozen=True)
class Run:
    """A network, the fields of its EngineConfig, and what the engine gets: weights, perhaps the state of its solver,
    and for each batch its images and labels.

    rates: the learning rate of the step after each batch. Batches without a rate are validated after the last step.
    """

    network: Network
    weights: Arrays
    images: np.ndarray
    labels: np.ndarray
    rates: list[float]
    settings: dict[str, Any] = field(default_factory=dict)
    state: Arrays | None = None


@dataclass(frozen=True)
class RunResult:
    """The loss of each batch, and what the engine has after the last step.

    accuracy: of the validated batches; NaN without any. outputs: of forward() for the images of the last batch.
    """

    losses: np.ndarray
    accuracy: float
    weights: Arrays
    state: Arrays
    outputs: Arrays


def take(engine_name: str, run: Run) -> RunResult:
    """Take the steps of a run."""
    config = EngineConfig(network=run.network, batch_size=len(run.images[0]), **(SETTINGS | run.settings))
    engine = open_engine(engine_name, config)
    engine.load_weights(run.weights)
    if run.state:
        engine.load_optimizer_state(run.state)
    losses = []
    for images, labels, rate in zip(run.images, run.labels, run.rates, strict=False):
        engine.train_batch(images, labels, rate)
        losses.append(engine.training_scores().loss)
    outputs = engine.forward(run.images[-1])
    accuracy = _validate(engine, run) if len(run.images) > len(run.rates) else float("nan")
    return RunResult(np.array(losses), accuracy, engine.weights(), engine.optimizer_state(), outputs)


def _validate(engine: Engine, run: Run) -> float:
    for images, labels in zip(run.images[len(run.rates) :], run.labels[len(run.rates) :], strict=True):
        engine.evaluate_batch(images, labels)
    return engine.evaluation_scores().accuracy


def write_run(folder: Path, run: Run) -> None:
    """Write a run into a folder of its own."""
    folder.mkdir(parents=True)
    facts = {"network": run.network.to_dict(), "rates": run.rates, "settings": run.settings}
    (folder / "run.json").write_text(json.dumps(facts))
    np.savez(folder / "weights.npz", **run.weights)
    np.savez(folder / "batches.npz", images=run.images, labels=run.labels)
    if run.state:
        np.savez(folder / "state.npz", **run.state)


def read_run(folder: Path) -> Run:
    """Read what write_run() wrote."""
    facts = json.loads((folder / "run.json").read_text())
    state = read_arrays(folder / "state.npz") if (folder / "state.npz").exists() else None
    network, weights = Network.from_dict(facts["network"]), read_arrays(folder / "weights.npz")
    batches = read_arrays(folder / "batches.npz")
    return Run(network, weights, **batches, rates=facts["rates"], settings=facts["settings"], state=state)


def read_result(folder: Path) -> RunResult:
    """Read the result that this module wrote for a run."""
    parts = {name: read_arrays(folder / f"after-{name}.npz") for name in ("weights", "state", "outputs")}
    return RunResult(np.load(folder / "losses.npy"), float(np.load(folder / "accuracy.npy")), **parts)


def read_arrays(path: Path) -> Arrays:
    with np.load(path) as arrays:
        return dict(arrays)


def main(engine_name: str, folder: Path) -> None:
    for run_folder in sorted(path.parent for path in folder.glob("*/run.json")):
        result = take(engine_name, read_run(run_folder))
        for name in ("losses", "accuracy"):
            np.save(run_folder / f"{name}.npy", getattr(result, name))
        for name in ("weights", "state", "outputs"):
            np.savez(run_folder / f"after-{name}.npz", **getattr(result, name))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
