"""Whether a device that can run a training has the memory for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from django.core.exceptions import ValidationError

from digits_project.common.resources import gibibytes
from digits_project.jobs.models import Device, Status
from models_app.estimates.disk_room import Shortage
from models_app.estimates.network_costs import FLOAT_BYTES, NetworkCosts
from models_app.estimates.workload import solver_arrays
from models_app.models import TrainedModel
from models_app.networks.timm.timm_catalogue import is_timm
from models_app.training.hyperparameters import FP32

SMALLEST_BYTES = 2  # of a number in bf16, in which a GPU can compute
REMEDY = "Take a smaller batch_size, and batch_accumulation to make up for it; or a smaller input_size or network."


def memory_shortage(model: TrainedModel, costs: NetworkCosts) -> Shortage:
    """What is wrong with a training whose batch no device can hold: a refusal for networks of timm, of which it is
    known what PyTorch keeps; for others, which an engine can compute in another way, a warning. Nothing if a host that
    can train the model has not reported its memory."""
    wanted = model.device_request()
    devices = [device for device in Device.objects.filter(enabled=True) if device.suits(wanted)]
    if not devices or any(not one.memory or least_bytes(model, costs, one) <= one.memory for one in devices):
        return Shortage()
    largest = max(devices, key=lambda device: device.memory)
    need, have = map(gibibytes, (least_bytes(model, costs, largest), largest.memory))
    text = (
        f"A batch of {_batch(model)} images needs at least {need} of memory, and the largest device that can train the "
        f"model, {largest}, has {have}. {REMEDY}"
    )
    return Shortage(refusal=text) if is_timm(model.network_name) else Shortage(warning=text)


def refuse_without_memory(models: Sequence[TrainedModel], costs: NetworkCosts) -> None:
    """Raise ValidationError if one of these new models fits on no device."""
    for refusal in filter(None, (memory_shortage(model, costs).refusal for model in models)):
        raise ValidationError({"batch_size": refusal})


def least_bytes(model: TrainedModel, costs: NetworkCosts, device: Device) -> int:
    """The bytes that the training takes on a device at least: the values of its part of a batch, weights, gradients and
    the memory of the solver."""
    is_gpu = device.type == Device.Type.GPU
    parts = max(len(model.select_gpus), model.select_gpu_count) if is_gpu else 1
    of_number = SMALLEST_BYTES if is_gpu and model.hyperparameters.precision != FP32 else FLOAT_BYTES
    numbers = costs.weights + costs.trained * (1 + solver_arrays(model.hyperparameters))
    return math.ceil(_batch(model) / parts) * costs.kept * of_number + numbers * FLOAT_BYTES


def _batch(model: TrainedModel) -> int:
    dataset = model.dataset
    return min(model.batch_size, dataset.entries("train")) if dataset.status == Status.DONE else model.batch_size
