"""Computes the learning rate of every iteration. No other code computes one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from models_app.training.hyperparameter_declaration import (
    SCHEDULE,
    BadHyperparameter,
    hyperparameter,
    hyperparameters_of,
)

LARGEST_RATE = 1e38  # engines compute in float32
SMALLEST_RATE = 1e-35  # a smaller one is 0: MXNet refuses the subnormal numbers of float32
WARMUP_START = 0.01  # the share of the rate at which a warm-up begins; at 0 the first step would change nothing


def _sigmoid(policy: LearningRatePolicy, percent: float) -> float:
    exponent = policy.lr_sigmoid_gamma * (percent - policy.lr_sigmoid_step)
    return 1 / (1 + math.exp(exponent)) if exponent < 700 else 0.0  # e^710 overflows


def _one_cycle(policy: LearningRatePolicy, percent: float) -> float:
    peak = policy.lr_one_cycle_peak
    if percent < peak:
        return _half_wave(policy.lr_one_cycle_start, 1.0, percent / peak)
    return _half_wave(1.0, policy.lr_one_cycle_end, (percent - peak) / (100 - peak))


def _half_wave(start: float, end: float, share: float) -> float:
    """A value between `start` (share 0) and `end` (share 1) on half a wave of the cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


FACTORS: dict[str, Callable[[LearningRatePolicy, float], float]] = {
    "fixed": lambda p, i: 1.0,
    "step": lambda p, i: p.lr_step_gamma ** math.floor(i / p.lr_step_size),
    "multistep": lambda p, i: p.lr_multistep_gamma ** sum(i >= value for value in p.lr_multistep_values),
    "exp": lambda p, i: p.lr_exp_gamma**i,
    "inv": lambda p, i: (1 + p.lr_inv_gamma * i) ** -p.lr_inv_power,
    "poly": lambda p, i: (1 - i / 100) ** p.lr_poly_power,
    "sigmoid": _sigmoid,
    "cosine": lambda p, i: _half_wave(1.0, p.lr_cosine_end, i / 100),
    "one_cycle": _one_cycle,
    "plateau": lambda p, i: 1.0,  # times gamma for each plateau: learning_rate()
}

POLICIES = tuple(FACTORS)
PLATEAU = "plateau"


_rate = partial(hyperparameter, group=SCHEDULE)


def _of(policy: str, default: Any, help: str, **facts: Any) -> Any:
    """Declare a parameter of one policy."""
    return _rate(default, help=f"{policy}: {help}", only_with=("lr_policy", policy), **facts)


@dataclass(frozen=True)
class LearningRatePolicy:
    """A base rate and a policy by which it changes. Names and defaults are DIGITS's, where DIGITS had the policy; other
    policies' parameters are ignored.

    With i the percent of training done (0 to 100), b the base rate, and wave(x, y, s) = y + (x - y) · (1 + cos πs) / 2:
        fixed      b
        step       b · gamma ^ ⌊i / step_size⌋
        multistep  b · gamma ^ (how many of the values have been reached)
        exp        b · gamma ^ i
        inv        b · (1 + gamma · i) ^ -power
        poly       b · (1 - i / 100) ^ power
        sigmoid    b / (1 + e ^ (gamma · (i - step)))
        cosine     b · wave(1, end, i / 100)
        one_cycle  b · wave(start, 1, i / peak) before the peak, then b · wave(1, end, (i - peak) / (100 - peak))
        plateau    b · gamma ^ (how many plateaus the validation has had: EarlyStopping.ends_plateau)

    With a warm-up of w percent the policy takes the rest of the training: i is 100 · (percent - w) / (100 - w). In the
    warm-up the rate rises linearly, from a hundredth of the policy's first rate to that rate.
    """

    learning_rate: float = _rate(
        0.01,
        above=0,
        several=True,
        help="The base rate, which lr_policy changes. Several, `0.1,0.01`, create one model each.",
    )
    lr_policy: str = _rate("step", choices=POLICIES, help="How the rate changes during the training.")
    lr_warmup: float = _rate(
        0.0,
        minimum=0,
        below=100,
        unit="%",
        help="The percent of the training in which the rate first rises linearly to that with which lr_policy begins; "
        "the policy takes the rest. 0: no warm-up.",
    )
    lr_step_size: float = _of("step", 33.0, "percent of the training between two steps.", above=0)
    lr_step_gamma: float = _of("step", 0.1, "the factor of each step.", minimum=0)
    lr_multistep_values: tuple[float, ...] = _of(
        "multistep",
        (50.0, 85.0),
        "the percents of the training at which the rate changes, separated by commas.",
    )
    lr_multistep_gamma: float = _of("multistep", 0.5, "the factor of each change.", minimum=0)
    lr_exp_gamma: float = _of("exp", 0.95, "the factor of each percent of the training.", minimum=0)
    lr_inv_gamma: float = _of("inv", 0.1, "rate · (1 + gamma · percent) ^ -power.", minimum=0)
    lr_inv_power: float = _of("inv", 0.5, "the power.", minimum=0)
    lr_poly_power: float = _of("poly", 3.0, "rate · (1 - percent / 100) ^ power.", minimum=0)
    lr_sigmoid_step: float = _of(
        "sigmoid", 50.0, "the percent of the training at which the rate has halved.", minimum=0
    )
    lr_sigmoid_gamma: float = _of("sigmoid", 0.1, "how steeply it falls there.", minimum=0)
    lr_cosine_end: float = _of("cosine", 0.0, "the last rate, as a share of the base rate.", minimum=0, maximum=1)
    lr_one_cycle_peak: float = _of(
        "one_cycle", 30.0, "the percent of the training at which the base rate is reached.", above=0, below=100
    )
    lr_one_cycle_start: float = _of(
        "one_cycle", 0.04, "the first rate, as a share of the base rate.", minimum=0, maximum=1
    )
    lr_one_cycle_end: float = _of("one_cycle", 0.0, "the last rate, as a share of the base rate.", minimum=0, maximum=1)
    lr_plateau_gamma: float = _of(
        "plateau", 0.1, "the factor after each plateau of the validation.", above=0, maximum=1
    )
    lr_plateau_patience: int = _of(
        "plateau",
        3,
        "the number of validations in a row without a better accuracy (or loss, if the network has no accuracy) that "
        "make a plateau.",
        minimum=1,
        maximum=100_000,
    )

    def __post_init__(self) -> None:
        for declared in hyperparameters_of(type(self)):
            value = getattr(self, declared.name)
            if declared.type is tuple and isinstance(value, list):  # the form in which JSON has it
                object.__setattr__(self, declared.name, value := tuple(value))
            declared.check(value)
        if self.lr_policy == "multistep" and list(self.lr_multistep_values) != sorted(self.lr_multistep_values):
            given = ",".join(f"{value:g}" for value in self.lr_multistep_values)
            wrong = f"lr_multistep_values must increase, as in 50,85, but are {given}"
            raise BadHyperparameter("lr_multistep_values", wrong)

    def check_rates(self) -> None:
        """Raise BadHyperparameter if the rate is out of the range of float32 at any percent of the training."""
        for percent in range(101):
            learning_rate(self, percent)


# The parameter by which a policy's rate can leave the range, if it is not the base rate.
STEEPNESS = {
    "step": "lr_step_gamma",
    "multistep": "lr_multistep_gamma",
    "exp": "lr_exp_gamma",
    "inv": "lr_inv_power",
    "poly": "lr_poly_power",
}


def learning_rate(policy: LearningRatePolicy, percent: float, plateaus: int = 0) -> float:
    """The rate when `percent` (0 to 100) of the training is done; the formulas are in LearningRatePolicy. It is 0 if it
    is too small for float32. Raises BadHyperparameter for a rate beyond the range of float32.

    plateaus: how many plateaus the validation has had, which only the policy `plateau` uses.
    """
    try:
        rate = policy.learning_rate * _factor(policy, percent)
    except OverflowError:
        rate = math.inf
    if not abs(rate) < LARGEST_RATE:
        where = f"beyond {LARGEST_RATE:g} at {percent:g} % of the training"
        raise BadHyperparameter(
            STEEPNESS.get(policy.lr_policy, "learning_rate"),
            f"lr_policy {policy.lr_policy} raises the learning rate {where}; choose a smaller value",
        )
    if policy.lr_policy == PLATEAU:
        rate *= policy.lr_plateau_gamma**plateaus
    return without_subnormal(rate)


def without_subnormal(rate: float) -> float:
    """The rate, or another factor of a step; 0 if it is smaller than SMALLEST_RATE."""
    return rate if abs(rate) >= SMALLEST_RATE else 0.0


def _factor(policy: LearningRatePolicy, percent: float) -> float:
    """The rate as a multiple of the base rate, warm-up included."""
    warmup, factor = policy.lr_warmup, FACTORS[policy.lr_policy]
    if not warmup:
        return factor(policy, percent)
    if percent < warmup:
        return factor(policy, 0.0) * (WARMUP_START + (1 - WARMUP_START) * percent / warmup)
    return factor(policy, 100 * (percent - warmup) / (100 - warmup))
