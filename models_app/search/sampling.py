"""Optuna: it chooses the values of the next trial, and says which trainings are poor.

The rows of the trials are the only record. A study is made from them in memory, for one question, so that nothing is
kept twice and no process has to live on. Only workers have Optuna (requirements/worker.in); see trials.optimizer().
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from random import Random

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from models_app.search.ranges import MIN_DONE, Dimension, Trial

GOOD = 0.25  # the share of the ended trials that are good ones
WARMUP = 0.2  # the share of the validations before which no training is poor

optuna.logging.set_verbosity(optuna.logging.WARNING)


def next_values(space: Mapping[str, Dimension], trials: Sequence[Trial], seed: int, number: int) -> dict[str, float]:
    """The values of the trial with this number: a function of the seed, the number, and the earlier trials.

    The first MIN_DONE trials are spread over the ranges. Then the tree-structured Parzen estimator (Bergstra et al.
    2011) chooses, or chance as long as fewer have ended. Trials that are in progress count as poor, so that several at
    a time are spread.
    """
    if number <= MIN_DONE:
        return _spread(space, seed, number)
    with warnings.catch_warnings():
        # Optuna 5 deprecates `gamma`, and has no other way to set it. Its own share of good trials, a tenth, is one of
        # the first ten: then the next values are hardly better than chance.
        warnings.simplefilter("ignore", FutureWarning)
        sampler = TPESampler(
            seed=(seed + number) % 2**32,
            n_startup_trials=MIN_DONE,
            multivariate=True,
            constant_liar=True,
            gamma=_good,
        )
    study, distributions = optuna.create_study(direction="maximize", sampler=sampler), _distributions(space)
    study.add_trials([_frozen(trial, distributions) for trial in trials])
    chosen = study.ask(fixed_distributions=distributions).params
    return {name: space[name].rounded(value) for name, value in chosen.items()}


def _spread(space: Mapping[str, Dimension], seed: int, number: int) -> dict[str, float]:
    """The values of one of the first trials. Each range has MIN_DONE equal parts, of which every trial has another one
    (Latin hypercube); values that only chance chooses leave large parts out."""
    chance, values = Random(seed), {}  # nosec B311 (no secret)
    for name, dimension in space.items():
        parts, places = chance.sample(range(MIN_DONE), MIN_DONE), [chance.random() for _ in range(MIN_DONE)]
        values[name] = dimension.at((parts[number - 1] + places[number - 1]) / MIN_DONE)
    return values


def _good(ended: int) -> int:
    """How many of the trials that have ended are good ones, near which the next is chosen."""
    return math.ceil(GOOD * ended)


def is_poor(trials: Sequence[Trial], trial: Trial, validations: int) -> bool:
    """Whether the best validation of a trial so far is worse than the median of the Done trials at the same epoch.

    validations: how many the whole training has.
    """
    study = optuna.create_study(direction="maximize")
    study.add_trials([_frozen(other) for other in trials])
    pruner = MedianPruner(n_startup_trials=MIN_DONE, n_warmup_steps=max(1, round(WARMUP * validations)))
    return pruner.prune(study, _frozen(trial))


def _frozen(trial: Trial, distributions: dict[str, BaseDistribution] | None = None) -> FrozenTrial:
    """The trial as Optuna has it, without its values if no distributions are given. One that failed is pruned without
    a validation, which is the worst that there is; so the sampler avoids its values, which it would not for Optuna's
    own FAIL."""
    state = TrialState.RUNNING if trial.is_open else TrialState.PRUNED if trial.value is None else TrialState.COMPLETE
    return create_trial(
        state=state,
        value=trial.value if state == TrialState.COMPLETE else None,
        params=dict(trial.values) if distributions else {},
        distributions=distributions or {},
        intermediate_values=dict(trial.curve),
    )


def _distributions(space: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    return {name: _distribution(dimension) for name, dimension in space.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
