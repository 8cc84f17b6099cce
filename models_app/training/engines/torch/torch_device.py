"""The device on which PyTorch computes, and how: threads, precision, and whether it always gives the same bits."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from digits_project.common import resources
from digits_project.common.errors import BadInput
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.torch.torch_library import torch
from models_app.training.hyperparameters import AUTO_PRECISION, BF16, FP32

logger = logging.getLogger("trainer")
UNDETERMINED = "does not have a deterministic implementation"  # in PyTorch's message, which begins with the operation


@dataclass(frozen=True)
class TorchDevice:
    """A device, and the precision in which a network is trained and validated on it: fp32 or bf16."""

    device: torch.device
    precision: str

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def memory(self) -> int:
        """The bytes of memory that there are."""
        return torch.cuda.mem_get_info(self.device)[1] if self.is_gpu else resources.limit().size

    def reduced_precision(self) -> AbstractContextManager[None]:
        """A context in which operations compute in the precision, where that is safe; weights stay float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == BF16)


@contextmanager
def refuse_other_bits() -> Iterator[None]:
    """Raise BadInput if an operation inside the block can't always give the same bits, as deterministic=1 wants."""
    try:
        yield
    except RuntimeError as error:
        if UNDETERMINED in str(error):
            operation, *_ = str(error).split()
            wanted = f"the network needs {operation}, which does not always give the same bits on a GPU"
            raise BadInput(f"{wanted}: train with deterministic=0, or on the CPU") from error
        raise


def open_device(config: EngineConfig) -> TorchDevice:
    """Prepare PyTorch for a training. Raises BadInput if it can't compute on the device, or not in the precision."""
    if len(config.devices) > 1:
        listed = ", ".join(config.devices)
        raise BadInput(f"PyTorch trains on one device for each process, not on {listed}; choose one device")
    device = _device(config.devices[0])
    _settle(config, device)
    return TorchDevice(device, _precision(config.precision, device))


def _device(name: str) -> torch.device:
    if name.startswith("cpu"):
        return torch.device("cpu")
    number, found = int(name.removeprefix("gpu")), torch.cuda.device_count()
    if number >= found:
        raise BadInput(f"there is no {name}: PyTorch finds {found} GPUs here{_why_none(found)}")
    device = torch.device("cuda", number)
    try:
        torch.zeros(1, device=device).add_(1).item()
    except RuntimeError as error:
        raise BadInput(f"PyTorch can't compute on {name}: {str(error).splitlines()[0]}") from error
    return device


def _why_none(found: int) -> str:
    if found or torch.version.cuda:
        return ""
    return f", because PyTorch {torch.__version__} was built for the CPU only"


def _settle(config: EngineConfig, device: torch.device) -> None:
    """Set what PyTorch has for the whole process."""
    torch.set_num_threads(config.threads)
    same_bits = device.type == "cpu" or config.deterministic
    if same_bits:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    if config.compile_network:
        torch.use_deterministic_algorithms(same_bits)  # sets the compiler too, whose import takes 1.3 s
    else:
        torch.set_deterministic_debug_mode("error" if same_bits else "default")
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads memory that was not written
    torch.backends.cudnn.benchmark = not same_bits
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32: model.onnx has to give the same scores


def _precision(wanted: str, device: torch.device) -> str:
    if device.type == "cpu":
        return FP32 if wanted == AUTO_PRECISION else wanted
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)  # older GPUs only emulate it
    if wanted == BF16 and not has_bf16:
        name = torch.cuda.get_device_name(device)
        raise BadInput(f"the GPU {name} can't compute in {BF16}; train with precision {AUTO_PRECISION} or {FP32}")
    return BF16 if has_bf16 and wanted != FP32 else FP32
