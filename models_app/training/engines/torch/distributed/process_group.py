"""The process group of the ranks: what they exchange by PyTorch's collective operations."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import numpy as np

from models_app.training.config import TrainConfig
from models_app.training.engines.torch.torch_library import torch
from models_app.training.ranks.rank import RankLost, Ranks
from models_app.training.ranks.rendezvous import Rendezvous

dist = torch.distributed

STORE_FILE = "DIGITS_RANK_STORE"  # for the ranks of one host: the file in which they meet
FAULT_KEY = "fault"
FAULT_SECONDS = 1.0  # for which rank 0 waits for the error of another rank
LOSSES = ("gloo", "NCCL", "Connection", "connection", "Broken pipe")  # in messages that have no class of their own


def is_rank() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def connect(config: TrainConfig) -> TorchRanks:
    """Join the ranks that torchrun started. Raises RankLost if one does not come."""
    meeting = config.meeting or Rendezvous()
    number, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = config.devices[int(os.environ["LOCAL_RANK"])]
    if device.startswith("gpu") and (index := int(device.removeprefix("gpu"))) < torch.cuda.device_count():
        torch.cuda.set_device(index)  # the engine reports a GPU that is not there
    timeout = timedelta(seconds=meeting.timeout)
    try:
        store = dist.PrefixStore(meeting.identity, _open_store(count, timeout))
        backend = "cpu:gloo,cuda:nccl" if device.startswith("gpu") else "gloo"
        dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=timeout)
    except RuntimeError as error:
        raise RankLost(f"Rank {number} of {count} could not reach the others: {error}") from error
    return TorchRanks(store, config.devices, number, count, int(os.environ["LOCAL_RANK"]))


def _open_store(count: int, timeout: timedelta) -> torch.distributed.Store:
    """What all ranks can read and write."""
    if path := os.environ.get(STORE_FILE):
        return dist.FileStore(path, count)
    return dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), count, timeout=timeout)


class TorchRanks(Ranks):
    """The rank of this process in PyTorch's process group. `store` holds what a rank leaves for rank 0; `devices` are
    those of this host."""

    def __init__(
        self, store: torch.distributed.Store, devices: Sequence[str], number: int, count: int, number_here: int
    ) -> None:
        super().__init__(number, count, number_here, len(devices))
        self._store = store
        self._devices = devices

    def all_devices(self, own: str) -> str:
        elsewhere = self.count - self.count_here
        return ", ".join(self._devices) + (f" and {elsewhere} of other hosts" if elsewhere else "")

    def total(self, array: np.ndarray) -> np.ndarray:
        """Sum in the order of the ranks, so that all have the same bits."""
        own = torch.from_numpy(np.ascontiguousarray(array))
        gathered = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(gathered, own)
        return np.sum([tensor.numpy() for tensor in gathered], axis=0)

    def agree(self, number: int) -> int:
        of_all = torch.tensor([number], dtype=torch.int64)
        dist.broadcast(of_all, 0)
        return int(of_all)

    def explain(self, error: Exception) -> Exception:
        text = str(error)
        is_loss = isinstance(error, dist.DistError) or any(word in text for word in LOSSES)
        if not (isinstance(error, RuntimeError) and is_loss):
            return error
        reason = (text.strip().splitlines() or [type(error).__name__])[0].partition(" This is typically")[0]
        return RankLost(f"Another rank of the training has ended; rank {self.number} of {self.count} noticed: {reason}")

    def pass_on(self, event: Mapping[str, Any]) -> None:
        with suppress(RuntimeError):  # rank 0 has ended too, and nobody reads it
            self._store.set(FAULT_KEY, json.dumps(event))

    def passed_on(self) -> dict[str, Any] | None:
        try:
            self._store.wait([FAULT_KEY], timedelta(seconds=FAULT_SECONDS))
            return json.loads(self._store.get(FAULT_KEY))
        except RuntimeError:
            return None
