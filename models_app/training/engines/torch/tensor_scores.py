"""Keeps the scores of several batches as PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.training.engines.score_buffer import ScoreBuffer
from models_app.training.engines.torch.torch_library import TorchArrays, torch


class TensorScores(ScoreBuffer):
    """Keeps the scores of several batches on the device."""

    def hold(self, place: int, results: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        # A copy, because on the CPU a result can be the batch itself, whose memory the next batch gets.
        return [result.detach().clone() for result in results]

    def numbers(self, results: Sequence[torch.Tensor]) -> np.ndarray:
        return TorchArrays().numbers(torch.cat(list(results)))
