"""The solvers, by the formulas of engines/mxnet/solvers.py, with operations on many arrays at once.

In the functions w are weights, g their gradients with L2 decay (without, for ADAMW), and r their rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from models_app.networks import Multipliers, Weight
from models_app.training.engines.interface import OPTIMIZER_SLOTS, EngineConfig
from models_app.training.engines.solver_memory import BETA2, DELTA, SolverMemory
from models_app.training.engines.torch.torch_library import TorchArrays, torch
from models_app.training.learning_rate import without_subnormal

Tensors: TypeAlias = list[torch.Tensor]


@dataclass(frozen=True)
class WeightGroup:
    """Weights with the same multipliers, and the solver's memory of them: a list for each of OPTIMIZER_SLOTS."""

    multipliers: Multipliers
    weights: Tensors
    memory: tuple[Tensors, ...]


@dataclass(frozen=True)
class StepSettings:
    """What a step depends on besides its arrays. number: of the step, from 1. decay: of the weights, for ADAMW."""

    rate: float
    decay: float
    number: int
    momentum: float
    rms_decay: float


class TorchSolver(SolverMemory):
    """Takes the steps of a training by the gradients that PyTorch keeps with the weights, and clears those."""

    def __init__(self, trained: Sequence[Weight], weights: Mapping[str, torch.Tensor], config: EngineConfig) -> None:
        self._config = config
        self._momentum = without_subnormal(config.momentum)
        slots = OPTIMIZER_SLOTS[config.solver_type]
        memory = {
            weight.name: [torch.zeros_like(weights[weight.name], requires_grad=False) for _ in slots]
            for weight in trained
        }
        self._groups = [
            _group(multipliers, [w.name for w in trained if w.multipliers == multipliers], weights, memory)
            for multipliers in dict.fromkeys(weight.multipliers for weight in trained)
        ]
        arrays = {f"{name}.{slot}": a for name, own in memory.items() for slot, a in zip(slots, own, strict=True)}
        super().__init__(config.solver_type, arrays, TorchArrays())

    @torch.no_grad()
    def step(self, rate: float, batches: int = 1) -> None:
        """Take one step. The gradients are sums over `batches` batches."""
        self.steps += 1
        self.batches += batches
        gradients = [[_gradient(weight) for weight in group.weights] for group in self._groups]
        _average(gradients, batches, self._config.gradient_clip)
        config, update = self._config, UPDATES[self._config.solver_type]
        for group, own in zip(self._groups, gradients, strict=True):
            decay = without_subnormal(config.weight_decay * group.multipliers.decay_mult)
            if decay and config.solver_type != "ADAMW":
                torch._foreach_add_(own, group.weights, alpha=decay)
            own_rate = without_subnormal(rate * group.multipliers.lr_mult)
            settings = StepSettings(own_rate, decay, self.steps, self._momentum, config.rms_decay)
            update(group.weights, own, group.memory, settings)
            for weight in group.weights:
                weight.grad = None


def _group(
    multipliers: Multipliers, names: list[str], weights: Mapping[str, torch.Tensor], memory: Mapping[str, Tensors]
) -> WeightGroup:
    of_slots = tuple(map(list, zip(*(memory[name] for name in names), strict=True)))
    return WeightGroup(multipliers, [weights[name] for name in names], of_slots)


def _gradient(weight: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def _average(gradients: list[Tensors], batches: int, longest: float) -> None:
    """Turn sums over `batches` batches into averages, with a norm of at most `longest` (0: any) of all together."""
    everything = [gradient for group in gradients for gradient in group]
    if not everything:
        return
    if not longest:
        if batches > 1:
            torch._foreach_mul_(everything, 1 / batches)
        return
    norm = torch.stack(torch._foreach_norm(everything)).norm()
    # On the device, because reading the norm would wait for it.
    factor = (longest / norm).clamp(max=1 / batches)
    torch._foreach_mul_(everything, factor)


def sgd(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """v ← momentum·v + r·g, w ← w - v; the memory is -v."""
    [v] = memory
    torch._foreach_mul_(v, s.momentum)
    torch._foreach_add_(v, g, alpha=-s.rate)
    torch._foreach_add_(w, v)


def nesterov(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """v' ← momentum·v + r·g, w ← w - (momentum·v' + r·g); the memory is -v."""
    [v] = memory
    torch._foreach_mul_(v, s.momentum)
    torch._foreach_add_(v, g, alpha=-s.rate)
    torch._foreach_add_(w, v, alpha=s.momentum)
    torch._foreach_add_(w, g, alpha=-s.rate)


def adagrad(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """h ← h + g², w ← w - r·g / (√h + delta)."""
    [h] = memory
    torch._foreach_addcmul_(h, g, g)
    _divided_step(w, g, h, s.rate, DELTA)


def rmsprop(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """h ← rms_decay·h + (1 - rms_decay)·g², w ← w - r·g / (√h + delta)."""
    [h] = memory
    _average_squares(h, g, s.rms_decay)
    _divided_step(w, g, h, s.rate, DELTA)


def adadelta(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """h ← momentum·h + (1 - momentum)·g², u ← g·√((k + delta) / (h + delta)), k ← momentum·k + (1 - momentum)·u²,
    w ← w - r·u."""
    h, k = memory
    _average_squares(h, g, s.momentum)
    updates = torch._foreach_add(k, DELTA)
    torch._foreach_div_(updates, torch._foreach_add(h, DELTA))
    torch._foreach_sqrt_(updates)
    torch._foreach_mul_(updates, g)
    _average_squares(k, updates, s.momentum)
    torch._foreach_add_(w, updates, alpha=-s.rate)


def adam(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """m ← β₁·m + (1 - β₁)·g, v ← β₂·v + (1 - β₂)·g², w ← w - r·c·m / (√v + delta), with c of _correction()."""
    _adam(w, g, memory, s, DELTA)


def adamw(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings) -> None:
    """w ← w - r·decay·w, then as ADAM with the delta of PyTorch's AdamW, which is added after the correction of v."""
    if s.decay:
        torch._foreach_mul_(w, 1 - s.rate * s.decay)
    _adam(w, g, memory, s, DELTA * (1 - BETA2**s.number) ** 0.5)


def _adam(w: Tensors, g: Tensors, memory: tuple[Tensors, ...], s: StepSettings, delta: float) -> None:
    m, v = memory
    torch._foreach_lerp_(m, g, 1 - s.momentum)
    _average_squares(v, g, BETA2)
    _divided_step(w, m, v, s.rate * _correction(s), delta)


def _correction(s: StepSettings) -> float:
    """√(1 - β₂ᵗ) / (1 - β₁ᵗ) in step t; β₁ is the momentum."""
    return (1 - BETA2**s.number) ** 0.5 / (1 - s.momentum**s.number)


def _average_squares(averages: Tensors, values: Tensors, kept: float) -> None:
    """average ← kept·average + (1 - kept)·value²."""
    torch._foreach_mul_(averages, kept)
    torch._foreach_addcmul_(averages, values, values, 1 - kept)


def _divided_step(w: Tensors, change: Tensors, squares: Tensors, rate: float, delta: float) -> None:
    """w ← w - rate·change / (√squares + delta)."""
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, delta)
    torch._foreach_addcdiv_(w, change, roots, -rate)


Update: TypeAlias = Callable[[Tensors, Tensors, tuple[Tensors, ...], StepSettings], None]
UPDATES: dict[str, Update] = {
    "SGD": sgd,
    "NESTEROV": nesterov,
    "ADAGRAD": adagrad,
    "RMSPROP": rmsprop,
    "ADADELTA": adadelta,
    "ADAM": adam,
    "ADAMW": adamw,
}
