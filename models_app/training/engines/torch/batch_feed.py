"""Brings batches to the device; to a GPU beside the computation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models_app.training.engines.torch.torch_device import TorchDevice
from models_app.training.engines.torch.torch_library import tensor_of, torch

BATCHES_AHEAD = 2  # of the computation, that are copied to the GPU


class BatchFeed:
    """Brings the batches of the host's memory to the CPU's tensors, which share it: they are read before train_batch()
    returns."""

    def send(self, images: np.ndarray, labels: np.ndarray | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The batch on the device."""
        return tensor_of(images), None if labels is None else tensor_of(labels)

    def end_batch(self) -> None:
        """Call it once the computation with the last batch has been started."""


@dataclass
class _Slot:
    """Pinned memory for a batch, and the event after which the GPU has computed with that batch."""

    pinned: list[torch.Tensor]
    done: torch.cuda.Event


class GpuFeed(BatchFeed):
    """Copies batches through pinned memory on a stream of its own, at most BATCHES_AHEAD of the computation."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._slots: list[_Slot] = []
        self._sent = 0

    def send(self, images: np.ndarray, labels: np.ndarray | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        arrays = [images] if labels is None else [images, labels]
        slot = self._free_slot(arrays)
        for pinned, array in zip(slot.pinned, arrays, strict=True):
            pinned.copy_(tensor_of(array))
        with torch.cuda.stream(self._stream):
            copied = [pinned.to(self._device, non_blocking=True) for pinned in slot.pinned]
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._stream)
        for tensor in copied:
            tensor.record_stream(computing)
        return copied[0], copied[1] if labels is not None else None

    def end_batch(self) -> None:
        self._slots[self._sent % BATCHES_AHEAD].done.record(torch.cuda.current_stream(self._device))
        self._sent += 1

    def _free_slot(self, arrays: list[np.ndarray]) -> _Slot:
        """The next slot, once the GPU no longer needs it; with memory for these arrays."""
        place = self._sent % BATCHES_AHEAD
        if place < len(self._slots):
            self._slots[place].done.synchronize()
            if [tuple(pinned.shape) for pinned in self._slots[place].pinned] == [array.shape for array in arrays]:
                return self._slots[place]
        pinned = [torch.empty(array.shape, dtype=tensor_of(array).dtype, pin_memory=True) for array in arrays]
        self._slots[place : place + 1] = [_Slot(pinned, torch.cuda.Event())]
        return self._slots[place]


def open_feed(device: TorchDevice) -> BatchFeed:
    return GpuFeed(device.device) if device.is_gpu else BatchFeed()
