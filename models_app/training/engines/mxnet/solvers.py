"""The solvers, by Caffe's formulas (https://caffe.berkeleyvision.org/tutorial/solver.html, src/caffe/solvers).

In all formulas g is a weight's gradient with L2 decay, gradient + decay_mult·decay·w, and r its rate, lr_mult·rate.
With `gradient_clip` the gradients are first scaled by clip / max(clip, |all gradients|), as by Caffe's clip_gradients.
MXNet's fused operators are used if they compute the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from models_app.networks import Multipliers, Weight
from models_app.training.engines.interface import OPTIMIZER_SLOTS, EngineConfig
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.ndarrays import NDArrays, add_scaled, approach
from models_app.training.engines.solver_memory import BETA2, DELTA, SolverMemory
from models_app.training.learning_rate import without_subnormal

Array: TypeAlias = mx.nd.NDArray


@dataclass(frozen=True)
class Parameter:
    """A weight that is trained, its gradient, and the solver's memory of it: an array for each of OPTIMIZER_SLOTS."""

    name: str
    multipliers: Multipliers
    weight: Array
    gradient: Array
    memory: tuple[Array, ...]


class Solver(SolverMemory):
    """A solver. Its steps read `gradients`.

    A step overwrites `gradients`: with zeros if they are summed over several batches, else with useless values.
    """

    name: str

    def __init__(self, trained: Sequence[Weight], weights: Mapping[str, Array], config: EngineConfig) -> None:
        self._config = replace(config, momentum=without_subnormal(config.momentum))
        self._parameters = [self._parameter(w, weights[w.name]) for w in trained]
        self.gradients = {p.name: p.gradient for p in self._parameters}
        super().__init__(self.name, self._memory(), NDArrays())

    def _parameter(self, weight: Weight, array: Array) -> Parameter:
        memory = tuple(mx.nd.zeros_like(array) for _ in OPTIMIZER_SLOTS[self.name])
        return Parameter(weight.name, weight.multipliers, array, mx.nd.zeros_like(array), memory)

    def step(self, rate: float, batches: int = 1) -> None:
        """Take one step. `gradients` are sums over `batches` batches."""
        self.steps += 1
        self.batches += batches
        factor = self._factor(batches)
        # One array at a time: MXNet's multi-tensor operators take 3 ms longer for LeNet's weights.
        for p in self._parameters:
            gradient = p.gradient
            decay = without_subnormal(self._config.weight_decay * p.multipliers.decay_mult)
            if factor != 1:
                gradient *= factor
            own_rate = without_subnormal(rate * p.multipliers.lr_mult)
            self._update(p.weight, gradient, *p.memory, lr=own_rate, wd=decay)
            if self._config.batch_accumulation > 1:
                gradient[:] = 0

    def _factor(self, batches: int) -> float:
        """The factor that turns the sums over `batches` batches into an average, with a norm of at most
        `gradient_clip`."""
        share, longest = 1 / batches, self._config.gradient_clip
        if not (longest and self._parameters):
            return share
        norm = share * self._norm()
        return share if norm <= longest else share * longest / norm

    def _norm(self) -> float:
        """The norm of all gradients together."""
        flat = [p.gradient.reshape(-1) for p in self._parameters]
        squares = mx.nd.concat(*(mx.nd.dot(array, array).reshape(1) for array in flat), dim=0)
        return float(np.sqrt(squares.asnumpy().astype(np.float64).sum()))

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        raise NotImplementedError

    def _memory(self) -> dict[str, Array]:
        return {
            f"{p.name}.{slot}": array
            for p in self._parameters
            for slot, array in zip(OPTIMIZER_SLOTS[self.name], p.memory, strict=True)
        }


class SGD(Solver):
    """v ← momentum·v + r·g, w ← w - v.

    v includes the rate, so a change of the rate does not change the momentum of earlier steps.
    """

    name = "SGD"

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        mx.nd.sgd_mom_update(weight, gradient, *memory, lr=lr, wd=wd, momentum=self._config.momentum, out=weight)


class Nesterov(Solver):
    """v' ← momentum·v + r·g, w ← w - ((1 + momentum)·v' - momentum·v), which is w - (momentum·v' + r·g)."""

    name = "NESTEROV"

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        add_scaled(gradient, wd, weight)  # nag_mom_update's own decay would read the weight after changing it
        mx.nd.nag_mom_update(weight, gradient, *memory, lr=lr, momentum=self._config.momentum, out=weight)


class Adam(Solver):
    """m ← β₁·m + (1 - β₁)·g, v ← β₂·v + (1 - β₂)·g², w ← w - r·c·m / (√v + delta).

    In step t, from 1, c is √(1 - β₂ᵗ) / (1 - β₁ᵗ); β₁ is the momentum.
    """

    name = "ADAM"

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        beta1 = self._config.momentum
        correction = (1 - BETA2**self.steps) ** 0.5 / (1 - beta1**self.steps)
        decays, delta = {"beta1": beta1, "beta2": BETA2}, self._delta()
        mx.nd.adam_update(weight, gradient, *memory, lr=lr * correction, wd=wd, epsilon=delta, **decays, out=weight)

    def _delta(self) -> float:
        return DELTA


class AdamW(Adam):
    """m and v as ADAM, of the gradient without decay; in step t
    w ← w - r·decay_mult·decay·w - r·(m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + delta).

    The formula of Loshchilov and Hutter (2019), as PyTorch's AdamW has it.
    """

    name = "ADAMW"

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        if wd:
            weight *= 1 - lr * wd
        super()._update(weight, gradient, *memory, lr=lr, wd=0.0)

    def _delta(self) -> float:
        return DELTA * (1 - BETA2**self.steps) ** 0.5


class _WithScratch(Solver):
    """A solver of several operations, with a scratch array of the size of the largest weight."""

    @cached_property
    def _shared(self) -> Array:
        return mx.nd.zeros(max(p.weight.size for p in self._parameters), self._parameters[0].weight.context)

    def _scratch(self, array: Array) -> Array:
        return self._shared[: array.size].reshape(array.shape)


class AdaGrad(_WithScratch):
    """h ← h + g², w ← w - r·g / (√h + delta)."""

    name = "ADAGRAD"

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        (history,) = memory
        scratch = self._scratch(weight)
        add_scaled(gradient, wd, weight)
        mx.nd.square(gradient, out=scratch)
        self._remember(history, scratch)
        _divide_by_root(gradient, history, scratch)
        add_scaled(weight, -lr, gradient)

    def _remember(self, history: Array, square: Array) -> None:
        history += square


class RMSProp(AdaGrad):
    """h ← rms_decay·h + (1 - rms_decay)·g², w ← w - r·g / (√h + delta). MXNet's own has delta inside the root."""

    name = "RMSPROP"

    def _remember(self, history: Array, square: Array) -> None:
        approach(history, square, 1 - self._config.rms_decay)


class AdaDelta(_WithScratch):
    """h ← momentum·h + (1 - momentum)·g², u ← g·√((k + delta) / (h + delta)), k ← momentum·k + (1 - momentum)·u²,
    w ← w - r·u."""

    name = "ADADELTA"

    def _update(self, weight: Array, gradient: Array, *memory: Array, lr: float, wd: float) -> None:
        history, updates = memory
        scratch = self._scratch(weight)
        share = 1 - self._config.momentum
        add_scaled(gradient, wd, weight)
        mx.nd.square(gradient, out=scratch)
        approach(history, scratch, share)
        for squares, combine in ((history, mx.nd.elemwise_div), (updates, mx.nd.elemwise_mul)):
            mx.nd.identity(squares, out=scratch)
            scratch += DELTA
            mx.nd.sqrt(scratch, out=scratch)
            combine(gradient, scratch, out=gradient)
        mx.nd.square(gradient, out=scratch)
        approach(updates, scratch, share)
        add_scaled(weight, -lr, gradient)


def _divide_by_root(array: Array, squares: Array, scratch: Array) -> None:
    """array ← array / (√squares + delta)."""
    mx.nd.sqrt(squares, out=scratch)
    scratch += DELTA
    mx.nd.elemwise_div(array, scratch, out=array)


SOLVERS: dict[str, type[Solver]] = {
    solver.name: solver for solver in (SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam, AdamW)
}
