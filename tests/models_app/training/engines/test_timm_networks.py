"""Networks of timm on PyTorch's engine: two steps, a resumed training, and the exported model."""

import json
import subprocess

import pytest

from models_app.training.engines.torch_declaration import TORCH
from tests.support.server import ROOT

pytestmark = [pytest.mark.torch, pytest.mark.slow(30), pytest.mark.timeout(600)]
# Each with the side of its images, and the layers that are trained.
RUNS = {
    "efficientnet_b0": (32, "all"), "convnext_atto": (32, "all"), "vit_tiny_patch16_224": (32, "all"),
    "mobilenetv4_conv_small": (32, "all"), "resnet50d": (32, "head"), "regnety_002": (32, "blocks"),
    "tiny_vit_5m_224": (32, "all"), "coat_lite_mini": (32, "all"),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    """What tests/support/engines/timm_runs.py prints of all networks, by name."""
    words = [str(word) for name, run in RUNS.items() for word in (name, *run)]
    command = [TORCH.python(), "-m", "tests.support.engines.timm_runs", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {run["name"]: run for run in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", RUNS)
def test_a_network_of_timm_trains_and_its_exported_model_answers_alike(runs, name):
    run = runs[name]
    assert 0 < run["loss"] < 10
    assert run["drawn_alike"]
    assert run["same_after_resume"]
    assert run["same_answers"]
    assert run["difference"] <= 1e-4
    assert run["differing"] == []  # model.onnx holds all weights


@pytest.mark.parametrize("name", ["efficientnet_b0", "convnext_atto", "vit_tiny_patch16_224", "resnet50d"])
def test_a_head_on_features_gives_the_scores_of_the_whole_network(runs, name):
    assert runs[name]["difference_of_head"] <= 1e-4


def test_weights_for_images_of_another_size_are_resampled(runs):
    assert runs["vit_tiny_patch16_224"]["not_resized"] == []


def test_only_the_layers_that_are_trained_change(runs):
    assert runs["resnet50d"]["changed"] == ["fc.bias", "fc.weight"]
    blocks = runs["regnety_002"]["changed"]
    assert {name.rpartition(".")[0].partition(".conv")[0].partition(".se")[0] for name in blocks} == {
        "s4.b7",
        "head.fc",
    }
    assert "s4.b7.conv1.bn.running_mean" in blocks
    everything = runs["convnext_atto"]
    assert everything["changed"] == everything["learned"]


def test_the_exported_model_names_its_modules_with_their_weights_and_activations(runs):
    layers = {layer["name"]: layer for layer in runs["efficientnet_b0"]["layers"]}
    assert layers["conv_stem"]["weights"] == ["conv_stem.weight"]
    assert layers["bn1"]["weights"] == ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]
    assert {"data", "model", "softmax"} <= set(layers)
    assert layers["model"]["weights"] == []
    assert all(layer["values"] for name, layer in layers.items() if layer["type"].startswith("Conv"))
