"""The weights of timm that `weights fetch` knows: timm publishes them, and its networks compute what ours do with
them."""

import json
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models_app.networks import STANDARD, standard
from models_app.networks.export.network_onnx import write_onnx
from models_app.networks.pretrained.published_files import TIMM
from models_app.training.engines.torch_declaration import TORCH
from models_app.training.starting_weights import starting_weights

pytestmark = pytest.mark.torch

SIDE = 64  # of the images; the networks compute the same at each size
ARCHITECTURES = ("mobilenetv2_100", "resnet18", "tf_efficientnet_lite0")
# Writes the files of networks with random weights and averages, what they compute, and what timm publishes.
PROGRAM = """
import json, sys
from pathlib import Path
import numpy, timm, torch
from safetensors.torch import save_file

folder, side, names, *architectures = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), *sys.argv[4:]
torch.manual_seed(1)
for architecture in architectures:
    model = timm.create_model(architecture).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1), part.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(part.weight, 0.5, 1.5), torch.nn.init.normal_(part.bias, 0, 0.1)
    save_file(model.state_dict(), folder / f"{architecture}.safetensors")
    images = torch.tensor(numpy.load(folder / "images.npy"))
    with torch.no_grad():
        numpy.save(folder / f"{architecture}.npy", model(images).softmax(1).numpy())
published = {name: timm.get_pretrained_cfg(name, allow_unregistered=False) for name in names}
facts = {name: [list(one.mean), list(one.std), one.license, one.hf_hub_id] for name, one in published.items()}
(folder / "published.json").write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """The folder with what timm's networks computed."""
    folder = tmp_path_factory.mktemp("timm")
    np.save(folder / "images.npy", np.random.default_rng(0).uniform(-2, 2, (2, 3, SIDE, SIDE)).astype(np.float32))
    arguments = [str(folder), str(SIDE), json.dumps(list(TIMM)), *ARCHITECTURES]
    subprocess.run([TORCH.python(), "-c", PROGRAM, *arguments], check=True, cwd=folder)
    return folder


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_of_timm_computes_what_ours_does_with_its_weights(written, tmp_path, architecture):
    name = next(network for weights, (network, _) in TIMM.items() if weights.startswith(f"{architecture}."))
    network = standard(name, (3, SIDE, SIDE), 1000)
    start = starting_weights(network, 1000, str(written / f"{architecture}.safetensors"))
    assert (start.afresh, start.warnings) == ((), ())
    write_onnx(network, start.arrays, tmp_path / "model.onnx", None, labels=())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    [scores] = session.run(None, {session.get_inputs()[0].name: np.load(written / "images.npy")})
    np.testing.assert_allclose(scores.reshape(2, -1), np.load(written / f"{architecture}.npy"), atol=1e-5)


def test_timm_publishes_the_weights_for_the_normalization_of_our_network_under_a_free_licence(written):
    published = json.loads((written / "published.json").read_text())
    assert set(published) == set(TIMM)
    for name, (mean, std, licence, repository) in published.items():
        ours = STANDARD[TIMM[name][0]].normalization
        np.testing.assert_allclose((*ours.mean, *ours.std), 255 * np.array([*mean, *std]), atol=0.01)
        assert (licence in ("apache-2.0", "bsd-3-clause"), repository) == (True, f"timm/{name}")
