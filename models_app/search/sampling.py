"""Optuna: it chooses the values of the next trial, and says which trainings are poor.

The rows of the trials are the only record. A study is made from them in memory, for one question, so that nothing is
kept twice and no process has to live on. Only workers have Optuna (requirements/worker.in); see trials.optimizer().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from models_app.search.ranges import MIN_DONE, Dimension, Trial

CANDIDATES = 64  # values drawn for each trial, of which the most promising is taken
WARMUP = 0.2  # the share of the validations before which no training is poor

optuna.logging.set_verbosity(optuna.logging.WARNING)


def next_values(space: Mapping[str, Dimension], trials: Sequence[Trial], seed: int, number: int) -> dict[str, float]:
    """The values of the trial with this number: a function of the seed, the number, and the earlier trials.

    Tree-structured Parzen estimator (Bergstra et al. 2011), after MIN_DONE random trials. Trials that are in progress
    count as poor, so that several at a time are spread.
    """
    sampler = TPESampler(
        seed=(seed + number) % 2**32,
        n_startup_trials=MIN_DONE,
        n_ei_candidates=CANDIDATES,
        multivariate=True,
        constant_liar=True,
    )
    study, distributions = optuna.create_study(direction="maximize", sampler=sampler), _distributions(space)
    study.add_trials([_frozen(trial, distributions) for trial in trials])
    chosen = study.ask(fixed_distributions=distributions).params
    return {name: space[name].rounded(value) for name, value in chosen.items()}


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
