"""The PyTorch engine: its devices, precisions and memory, and compiling."""

import logging

import numpy as np
import pytest

from digits_project.common import resources
from digits_project.common.errors import BadInput
from models_app.networks import BadNetwork, standard
from models_app.networks.layers import TYPES, data_and_losses
from models_app.training.engines import described
from models_app.training.engines.torch import timm_networks
from models_app.training.engines.torch.layer_operations import OPERATIONS
from models_app.training.engines.torch.network_memory import planned_bytes
from models_app.training.engines.torch.torch_device import refuse_other_bits
from models_app.training.engines.torch.torch_library import torch
from models_app.training.engines.torch_declaration import TORCH
from models_app.training.hyperparameters import PRECISIONS
from models_app.training.ranks.rank import Ranks
from tests.support.samples.engine_samples import engine_of, random_images
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.training_samples import dropout_network, softmax_network

pytestmark = [pytest.mark.usefixtures("engine_name"), pytest.mark.only_engine("torch", reason="it is not PyTorch")]

LABELS = np.array([0, 3, 9, 1], np.float32)


def trained(sample, **settings):
    """An engine after five steps on random images."""
    engine = engine_of(sample, **settings)
    engine.load_weights(sample.initial_weights(1))
    for seed in range(5):
        engine.train_batch(random_images(sample, 4, seed), LABELS, 0.01)
    return engine


def test_pytorch_declares_the_layer_types_that_it_has_operations_for():
    sources = {name for name, kind in TYPES.items() if issubclass(kind, data_and_losses.DataSource)}
    assert TORCH.layer_types == set(OPERATIONS) | sources


def test_several_devices_in_one_process_are_refused():
    with pytest.raises(BadInput, match="one device for each process, not on gpu0, gpu1"):
        engine_of(softmax_network(), devices=("gpu0", "gpu1"))


def test_a_gpu_that_is_not_there_is_refused_with_the_number_of_those_that_are():
    with pytest.raises(BadInput, match=r"there is no gpu99: PyTorch finds \d+ GPUs here"):
        engine_of(softmax_network(), devices=("gpu99",))


def test_a_network_that_does_not_fit_into_the_memory_is_refused_before_the_first_batch():
    sample = standard("resnet18", (3, 224, 224), 10)
    batch_size = resources.limit().size // planned_bytes(sample, 1) + 1
    engine = engine_of(sample, batch_size=batch_size, devices=("cpu",))
    images = np.broadcast_to(np.zeros((3, 224, 224), np.uint8), (batch_size, 3, 224, 224))
    with pytest.raises(
        BadInput, match=r"training ResNet-18.* needs .* GiB of memory, and there are .* batch_accumulation"
    ):
        engine.train_batch(images, np.zeros(batch_size, np.float32), 0.01)


def test_ranks_that_share_the_memory_of_a_host_are_refused_what_fits_only_into_one_of_them():
    sample = standard("resnet18", (3, 224, 224), 10)
    half = resources.limit().size // planned_bytes(sample, 1) * 2 // 3
    engine = engine_of(sample, batch_size=2 * half, devices=("cpu",), ranks=Ranks(count=2, count_here=2))
    images = np.broadcast_to(np.zeros((3, 224, 224), np.uint8), (half, 3, 224, 224))
    with pytest.raises(BadInput, match=f"training ResNet-18.* with a batch size of {2 * half} needs "):
        engine.train_batch(images, np.zeros(half, np.float32), 0.01)


def test_the_cpu_computes_in_fp32_unless_bf16_is_wanted():
    on_cpu = {"devices": ("cpu",)}
    precisions = [engine_of(softmax_network(), precision=wanted, **on_cpu).precision for wanted in PRECISIONS]
    assert precisions == ["fp32", "fp32", "bf16"]


def test_bf16_trains_like_fp32_with_less_exact_numbers():
    exact, rounded = (trained(dropout_network(), precision=precision) for precision in ("fp32", "bf16"))
    losses = [engine.training_scores().loss for engine in (exact, rounded)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]
    assert {array.dtype for array in rounded.weights().values()} == {np.dtype(np.float32)}


def test_the_deployed_network_computes_in_fp32_after_a_training_in_bf16_too():
    rounded, exact = (trained(dropout_network(), precision=precision) for precision in ("bf16", "fp32"))
    exact.load_weights(rounded.weights())
    images = random_images(dropout_network(), 4)
    assert np.array_equal(exact.forward(images)["softmax"], rounded.forward(images)["softmax"])


def test_a_network_learns_digits_in_bf16():
    images, labels = digits()
    engine = engine_of(softmax_network(), batch_size=32, precision="bf16")
    engine.load_weights(softmax_network().initial_weights(0))
    losses = []
    for _ in range(3):
        for start in range(0, 320, 32):
            batch = slice(start, start + 32)
            engine.train_batch(images[batch, np.newaxis], labels[batch].astype(np.float32), 0.1)
        losses.append(engine.training_scores().loss)
    assert losses[-1] < 0.7 * losses[0]


def test_an_operation_that_gives_other_bits_is_refused_with_what_to_do():
    message = (
        "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'."
    )
    with (
        pytest.raises(BadInput, match=r"the network needs put_, .* deterministic=0, or on the CPU"),
        refuse_other_bits(),
    ):
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="another"), refuse_other_bits():
        raise RuntimeError("another error")


def timm_network(name, side):
    return described(standard(f"timm/{name}", (3, side, side), 10), "torch")


def test_a_network_of_timm_that_normalizes_by_one_value_a_channel_is_refused_with_a_larger_batch_as_remedy():
    engine = engine_of(timm_network("test_resnet", 32), batch_size=1)
    with pytest.raises(BadInput, match=r"the network normalizes by the values of a batch.* a batch_size of 2 or more"):
        engine.train_batch(np.zeros((1, 3, 32, 32), np.uint8), LABELS[:1], 0.01)


def test_a_network_of_timm_that_cannot_be_exported_is_refused_with_the_operation():
    message = (
        "Unsupported: ONNX export of operator adaptive_avg_pool2d, input size not accessible.  [Caused by the value"
    )
    with (
        pytest.raises(BadNetwork, match=r"csatv2 can't be exported .*: Unsupported: .*_pool2d.*; take another"),
        timm_networks.refuse_unexportable("csatv2"),
    ):
        raise torch.onnx.errors.OnnxExporterError(message)


def test_a_label_that_is_no_category_is_reported_with_the_scores():
    engine = engine_of(softmax_network())
    engine.train_batch(random_images(softmax_network(), 4), np.array([0, 99, 1, -7], np.float32), 0.01)
    with pytest.raises(BadInput, match="the label -7 is none of its 10 categories"):
        engine.training_scores()


def test_without_a_compiler_a_network_is_trained_as_it_is(caplog):
    without_compiler = {"cpp.cxx": ("/no/such/compiler",), "force_disable_caches": True}
    with torch._inductor.config.patch(without_compiler), caplog.at_level(logging.WARNING):
        compiled = trained(softmax_network(), compile_network=True, devices=("cpu",))
    assert "the network is trained without being compiled, because" in caplog.text
    plain = trained(softmax_network(), devices=("cpu",))
    assert all(np.array_equal(array, plain.weights()[name]) for name, array in compiled.weights().items())
