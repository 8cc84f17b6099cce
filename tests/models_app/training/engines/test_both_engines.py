"""MXNet and PyTorch compute the same: gradients, steps and losses, and one goes on where the other stopped."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from models_app.networks import Layer, Network, standard
from models_app.training.engines.torch_declaration import TORCH
from models_app.training.hyperparameters import SOLVERS
from tests.support.engines.engine_runs import Run, read_result, take, write_run
from tests.support.samples.engine_samples import random_images
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.network_samples import DATA, network
from tests.support.samples.training_samples import LABELLED_PHASES
from tests.support.server import ROOT

pytestmark = [pytest.mark.torch, pytest.mark.trainer, pytest.mark.slow(20), pytest.mark.timeout(600)]

BATCH, CATEGORIES, STEPS = 4, 3, 20
FILLED = {"weight_filler": {"type": "gaussian", "std": 0.3}}
SCALED = Layer("scaled", "Power", ("data",), ("scaled",), {"scale": 0.01, "shift": -1.27})
FIRST = Layer("first", "Convolution", ("scaled",), ("first",), {"num_output": 4, "kernel_size": 2, **FILLED})
SCORES = Layer("scores", "InnerProduct", ("layer",), ("scores",), {"num_output": CATEGORIES, **FILLED})
LOSS = Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=LABELLED_PHASES)

# Layers between a convolution and the scores.
LAYERS = {
    "Convolution": {"num_output": 6, "kernel_size": 3, "stride": 2, "pad": 1, "group": 2, **FILLED},
    "Deconvolution": {"num_output": 4, "kernel_size": 3, "stride": 2, "group": 2, "pad": 1, **FILLED},
    "Pooling": {"kernel_size": 3, "stride": 2},
    "LRN": {"local_size": 3, "alpha": 0.5, "beta": 0.6, "k": 2},
    "InnerProduct": {"num_output": 5, "axis": 2, "transpose": True, **FILLED},
    "BatchNorm": {"moving_average_fraction": 0.5, "scale_bias": True, "eps": 0.01},
    "Scale": {"bias_term": True},
    "Bias": {},
    "PReLU": {},
    "ReLU": {"negative_slope": 0.2},
    "ELU": {"alpha": 0.5},
    "Sigmoid": {},
    "TanH": {},
    "AbsVal": {},
    "Exp": {"base": 2},
    "Log": {"shift": 20},
    "Power": {"power": 2, "shift": 3},
    "Clip": {"min": -2, "max": 2},
    "Flatten": {"axis": 2},
    "Reshape": {"shape": [0, 2, -1]},
    "Softmax": {},
}
VARIANTS = {
    "average pooling with pad": ("Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 2}),
    "largest with pad": ("Pooling", {"kernel_size": 3, "stride": 2, "pad": 2}),
    "pooling of everything": ("Pooling", {"pool": "AVE", "global_pooling": True}),
    "padding as in TensorFlow": ("Convolution", {"num_output": 3, "kernel_size": 2, "pad_mode": "SAME", **FILLED}),
    "LRN within channels": ("LRN", {"local_size": 3, "alpha": 0.5, "norm_region": "WITHIN_CHANNEL"}),
}


def through(kind: str, parameters: dict) -> Network:
    """A network that computes its scores from a layer of this type, which reads a convolution."""
    layer = Layer("layer", kind, ("first",), ("layer",), parameters)
    return network(SCALED, FIRST, layer, SCORES, LOSS, input_shape=(2, 5, 5))


def branched(operation: str) -> Network:
    """A network with the layers that join and divide."""
    layers = (
        Layer("cut", "Slice", ("first",), ("a", "b"), {"axis": 1}),
        Layer("twice", "Split", ("a",), ("a1", "a2")),
        Layer("both", "Eltwise", ("a1", "b"), ("both",), {"operation": operation}),
        Layer("small", "Pooling", ("b",), ("small",), {"kernel_size": 2}),
        Layer("crop", "Crop", ("both", "small"), ("crop",), {"offset": [1, 0]}),
        Layer("layer", "Concat", ("crop", "small"), ("layer",), {"axis": -3}),
        Layer("rest", "Silence", ("a2",)),
    )
    return network(SCALED, FIRST, *layers, SCORES, LOSS, input_shape=(2, 5, 5))


def several_losses() -> Network:
    """A network with every loss, on labels that are numbers."""
    layers = (
        Layer("scores", "InnerProduct", ("scaled",), ("scores",), {"num_output": 6, **FILLED}),
        Layer("sigmoid", "SigmoidCrossEntropyLoss", ("scores", "label"), ("sigmoid",), {"loss_weight": 0.5}),
        Layer("near", "EuclideanLoss", ("scores", "label"), ("near",), {"loss_weight": 0.2}),
    )
    losses = [replace(layer, phases=LABELLED_PHASES) for layer in layers[1:]]
    return Network("several", (2, 5, 5), (DATA, SCALED, layers[0], *losses), (6, 1, 1))


def gradient_run(sample: Network, **settings) -> Run:
    """One step of gradient descent at learning rate 1, so that weights lose their gradient."""
    rng = np.random.default_rng(3)
    shape = (1, BATCH, *sample.label_shape)
    labels = rng.integers(0, 2 if sample.label_shape else CATEGORIES, shape).astype(np.float32)
    images = random_images(sample, BATCH)[np.newaxis]
    return Run(sample, sample.initial_weights(0), images, labels, [1.0], {"momentum": 0, **settings})


def training_run(sample: Network, batch_size: int, rate: float, steps=STEPS, **settings) -> Run:
    """Steps on enlarged images of digits."""
    images, labels = digits()
    channels, side, _ = sample.input_shape
    margin = side % 8 // 2
    enlarged = images[: steps * batch_size].repeat(side // 8, axis=1).repeat(side // 8, axis=2)
    padded = np.pad(enlarged, ((0, 0), (margin, margin), (margin, margin)))
    batches = padded.reshape(steps, batch_size, 1, side, side).repeat(channels, axis=2)
    own = labels[: steps * batch_size].reshape(steps, batch_size).astype(np.float32)
    return Run(sample, sample.initial_weights(1), batches, own, [rate] * steps, settings)


GRADIENTS = {
    **{kind: gradient_run(through(kind, parameters)) for kind, parameters in LAYERS.items()},
    **{name: gradient_run(through(*variant)) for name, variant in VARIANTS.items()},
    **{f"Eltwise {operation}": gradient_run(branched(operation)) for operation in ("SUM", "PROD", "MAX")},
    "several losses": gradient_run(several_losses()),
    "category weights": gradient_run(through("TanH", {}), category_weights=(0.5, 2.0, 1.0)),
}


def normalized() -> Network:
    """A network with batch normalization. Its convolution has no bias: the gradient would be 0 but for rounding."""
    xavier = {"weight_filler": {"type": "xavier"}}
    convolution = {"num_output": 8, "kernel_size": 3, "bias_term": False, **xavier}
    layers = (
        Layer("scaled", "Power", ("data",), ("scaled",), {"scale": 0.01}),
        Layer("conv", "Convolution", ("scaled",), ("conv",), convolution),
        Layer("norm", "BatchNorm", ("conv",), ("norm",), {"moving_average_fraction": 0.9}),
        Layer("gain", "Scale", ("norm",), ("gain",), {"bias_term": True}),
        Layer("relu", "ReLU", ("gain",), ("gain",)),
        Layer("scores", "InnerProduct", ("gain",), ("scores",), {"num_output": 10, **xavier}),
    )
    return network(*layers, LOSS, input_shape=(1, 8, 8))


LENET = training_run(standard("lenet", (1, 28, 28), 10), 16, 0.01, weight_decay=0.0005)
# At higher rates the losses of one engine depend on the last bits of its weights: a difference of 1e-7 at the start
# grows to a percent in five steps at 0.001.
RESNET = training_run(standard("resnet18", (3, 64, 64), 10), 8, 5e-6, weight_decay=0.0001)

# Trainings that one engine begins and the other ends.
CONTINUED = {
    solver: training_run(normalized(), 8, 0.01, 8, solver_type=solver, ema=0.9, weight_decay=0.01) for solver in SOLVERS
}
HALF = 4


def whole_run(seed: int, batch_size=32, epochs=3, trained=40, validated=16) -> Run:
    """A training on digits in an order of its own, and then a validation."""
    images, labels = digits()
    rng, count = np.random.default_rng(seed), trained * batch_size
    order = np.concatenate([rng.permutation(count) for _ in range(epochs)])
    order = np.concatenate([order, np.arange(count, count + validated * batch_size)]).reshape(-1, batch_size)
    rates = [0.02] * (trained * epochs)
    start = normalized().initial_weights(seed)
    return Run(normalized(), start, images[order][:, :, np.newaxis], labels[order].astype(np.float32), rates)


WHOLE = {f"whole {seed}": whole_run(seed) for seed in range(5)}


def part(run: Run, batches: slice, weights=None, state=None) -> Run:
    """Some batches of a run, from the weights and the state that its earlier ones led to."""
    cut = {"images": run.images[batches], "labels": run.labels[batches], "rates": run.rates[batches]}
    return replace(run, **cut, weights=weights or run.weights, state=state)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A function that returns the results of MXNet and of PyTorch for a run, by its name."""
    folder = tmp_path_factory.mktemp("runs")
    first = {name: take("mxnet", part(run, slice(HALF))) for name, run in CONTINUED.items()}
    resumed = {
        f"resumed {name}": part(CONTINUED[name], slice(HALF, None), begun.weights, begun.state)
        for name, begun in first.items()
    }
    begun = {f"begun {name}": part(run, slice(HALF)) for name, run in CONTINUED.items()}
    runs = {**GRADIENTS, **WHOLE, "lenet": LENET, "resnet": RESNET, **resumed, **begun}
    numbered = {name: folder / str(number) for number, name in enumerate(runs)}
    for name, run in runs.items():
        write_run(numbered[name], run)
    command = [TORCH.python(), "-m", "tests.support.engines.engine_runs", "torch", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return lambda name: (take("mxnet", runs[name]), read_result(numbered[name]))


def assert_same_steps(torch, mxnet, start, share=1e-3):
    """Assert that two engines moved all weights alike, relative to how far each array moved."""
    assert torch.weights.keys() == mxnet.weights.keys()
    for name, array in mxnet.weights.items():
        moved = np.abs(array - start[name]).max()
        np.testing.assert_allclose(torch.weights[name], array, rtol=0, atol=share * moved + 1e-6, err_msg=name)


@pytest.mark.parametrize("name", GRADIENTS)
def test_both_engines_compute_the_same_gradients(results, name):
    mxnet, torch = results(name)
    assert_same_steps(torch, mxnet, GRADIENTS[name].weights)
    assert torch.losses == pytest.approx(mxnet.losses, rel=1e-5)
    for output, values in mxnet.outputs.items():
        np.testing.assert_allclose(torch.outputs[output], values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["lenet", "resnet"])
def test_the_first_losses_of_both_engines_are_the_same(results, name):
    mxnet, torch = results(name)
    assert torch.losses == pytest.approx(mxnet.losses, rel=1e-3)
    assert torch.weights.keys() == mxnet.weights.keys()


def test_the_accuracies_of_both_engines_are_the_same_over_five_seeds(results):
    accuracies = [[result.accuracy for result in results(name)] for name in WHOLE]
    mxnet, torch = np.mean(accuracies, axis=0)
    assert mxnet > 0.85
    assert torch == pytest.approx(mxnet, abs=0.01)


@pytest.mark.parametrize("name", SOLVERS)
def test_pytorch_goes_on_with_the_snapshot_of_mxnet(results, name):
    mxnet, torch = results(f"resumed {name}")
    assert_same_steps(torch, mxnet, CONTINUED[name].weights)
    assert torch.state.keys() == mxnet.state.keys()
    for slot, array in mxnet.state.items():
        np.testing.assert_allclose(torch.state[slot], array, rtol=1e-3, atol=1e-3 * np.abs(array).max(), err_msg=slot)


@pytest.mark.parametrize("name", SOLVERS)
def test_mxnet_goes_on_with_the_snapshot_of_pytorch(results, name):
    _, begun = results(f"begun {name}")
    ended = take("mxnet", part(CONTINUED[name], slice(HALF, None), begun.weights, begun.state))
    assert_same_steps(ended, take("mxnet", CONTINUED[name]), CONTINUED[name].weights)
