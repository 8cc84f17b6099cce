"""The learning rate over a training: the one place where it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from digits_project.common.errors import BadInput

LARGEST_RATE = 1e38  # engines compute in float32


class BadPolicy(BadInput):
    """A policy that makes no sense; `field` is the parameter to change."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class LearningRatePolicy:
    """A base rate and how it falls. Names and defaults as in DIGITS; only the chosen policy's parameters count.

    With i the percent of training done (0 to 100) and b the base rate:
        fixed      b
        step       b · gamma ^ ⌊i / step_size⌋
        multistep  b · gamma ^ (how many of the values have been reached)
        exp        b · gamma ^ i
        inv        b · (1 + gamma · i) ^ -power
        poly       b · (1 - i / 100) ^ power
        sigmoid    b / (1 + e ^ (gamma · (i - step)))
    """

    learning_rate: float = 0.01
    lr_policy: str = "step"
    lr_step_size: float = 33.0
    lr_step_gamma: float = 0.1
    lr_multistep_values: tuple[float, ...] = (50.0, 85.0)
    lr_multistep_gamma: float = 0.5
    lr_exp_gamma: float = 0.95
    lr_inv_gamma: float = 0.1
    lr_inv_power: float = 0.5
    lr_poly_power: float = 3.0
    lr_sigmoid_step: float = 50.0
    lr_sigmoid_gamma: float = 0.1

    def __post_init__(self) -> None:
        if self.lr_policy not in POLICIES:
            raise BadPolicy("lr_policy", f"lr_policy must be one of {', '.join(POLICIES)}, not {self.lr_policy!r}")
        for name, value in self._numbers():
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                raise BadPolicy(name, f"{name} must be a number, not {value!r}")
        if self.learning_rate <= 0:
            raise BadPolicy("learning_rate", f"learning_rate must be above 0, not {self.learning_rate}")
        if self.lr_policy == "step" and self.lr_step_size <= 0:
            raise BadPolicy("lr_step_size", f"lr_step_size must be above 0, not {self.lr_step_size}")
        if self.lr_policy == "multistep" and list(self.lr_multistep_values) != sorted(self.lr_multistep_values):
            given = ",".join(f"{value:g}" for value in self.lr_multistep_values)
            raise BadPolicy("lr_multistep_values", f"lr_multistep_values must rise, as in 50,85; they are {given}")
        for gamma in ("lr_step_gamma", "lr_multistep_gamma", "lr_exp_gamma", "lr_inv_gamma"):
            if getattr(self, gamma) < 0:
                raise BadPolicy(gamma, f"{gamma} must not be negative, not {getattr(self, gamma)}")

    def check(self) -> None:
        """Raise BadPolicy if the rate is out of the range of float32 at any percent of the training."""
        for percent in range(101):
            learning_rate(self, percent)

    def _numbers(self) -> list[tuple[str, float]]:
        values = [("lr_multistep_values", value) for value in self.lr_multistep_values]
        return values + [
            (name, value) for name, value in vars(self).items() if isinstance(getattr(LearningRatePolicy, name), float)
        ]


def _sigmoid(policy: LearningRatePolicy, percent: float) -> float:
    exponent = policy.lr_sigmoid_gamma * (percent - policy.lr_sigmoid_step)
    return 1 / (1 + math.exp(exponent)) if exponent < 700 else 0.0  # e^710 overflows


FACTORS: dict[str, Callable[[LearningRatePolicy, float], float]] = {
    "fixed": lambda p, i: 1.0,
    "step": lambda p, i: p.lr_step_gamma ** math.floor(i / p.lr_step_size),
    "multistep": lambda p, i: p.lr_multistep_gamma ** sum(i >= value for value in p.lr_multistep_values),
    "exp": lambda p, i: p.lr_exp_gamma**i,
    "inv": lambda p, i: (1 + p.lr_inv_gamma * i) ** -p.lr_inv_power,
    "poly": lambda p, i: (1 - i / 100) ** p.lr_poly_power,
    "sigmoid": _sigmoid,
}

POLICIES = tuple(FACTORS)

# The parameter that takes a policy's rate out of range, where that is not the base rate itself.
STEEPNESS = {
    "step": "lr_step_gamma",
    "multistep": "lr_multistep_gamma",
    "exp": "lr_exp_gamma",
    "inv": "lr_inv_power",
    "poly": "lr_poly_power",
}


def learning_rate(policy: LearningRatePolicy, percent: float) -> float:
    """The rate when `percent` (0 to 100) of the training is done; the formulas are in Policy.

    Raises BadPolicy for one that leads out of the range of float32.
    """
    try:
        rate = policy.learning_rate * FACTORS[policy.lr_policy](policy, percent)
    except OverflowError:
        rate = math.inf
    if not abs(rate) < LARGEST_RATE:
        where = f"beyond {LARGEST_RATE:g} at {percent:g} % of the training"
        raise BadPolicy(
            STEEPNESS.get(policy.lr_policy, "learning_rate"),
            f"lr_policy {policy.lr_policy} takes the learning rate {where}; make it smaller",
        )
    return rate
