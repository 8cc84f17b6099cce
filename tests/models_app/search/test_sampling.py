"""How Optuna chooses the values of trials, and which trainings are poor."""

import math
from random import Random

import pytest

from digits_project.common.errors import Aborted
from digits_project.jobs.models import Device, Status
from digits_project.jobs.scheduling.devices import register
from models_app.models import TrainedModel
from models_app.search.poor_trials import end_if_poor
from models_app.search.ranges import MIN_DONE, Dimension, Trial
from models_app.search.sampling import is_poor, next_values

SPACE = {"learning_rate": Dimension(1e-4, 1, log=True), "weight_decay": Dimension(1e-5, 0.1, log=True)}
SIDE = 4  # values of each hyperparameter in the grid


def accuracy_of(seed):
    """A function that falls off around a best pair of values, and to a guess for rates that are far too high."""
    draw = Random(seed).uniform
    rate, decay, width, height = draw(-3.5, -0.5), draw(-4.5, -1.5), draw(0.6, 1.5), draw(1, 4)

    def accuracy(values):
        x, y = math.log10(values["learning_rate"]) - rate, math.log10(values["weight_decay"]) - decay
        return 0.1 + 0.9 * math.exp(-((x / width) ** 2) - (y / height) ** 2) if x < 2 else 0.1

    return accuracy


def best_of_grid(accuracy):
    steps = {
        name: [one.low * (one.high / one.low) ** (i / (SIDE - 1)) for i in range(SIDE)] for name, one in SPACE.items()
    }
    pairs = [{"learning_rate": r, "weight_decay": d} for r in steps["learning_rate"] for d in steps["weight_decay"]]
    return max(map(accuracy, pairs))


def best_of_search(accuracy, seed):
    trials = []
    for number in range(1, SIDE**2 + 1):
        values = next_values(SPACE, trials, seed, number)
        trials.append(Trial(values, value=accuracy(values)))
    return max(trial.value for trial in trials)


def test_a_search_is_at_least_as_good_as_a_grid_of_as_many_trainings_in_eight_of_ten_seeds():
    wins = [best_of_search(accuracy_of(seed), seed) >= best_of_grid(accuracy_of(seed)) for seed in range(10)]
    assert sum(wins) >= 8, wins


def test_the_values_of_a_trial_depend_only_on_seed_number_and_the_earlier_trials():
    trials = [Trial({"learning_rate": 10**-i, "weight_decay": 0.01}, value=i / 4) for i in range(1, 5)]
    assert next_values(SPACE, trials, 7, 5) == next_values(SPACE, list(trials), 7, 5)
    assert next_values(SPACE, trials, 7, 5) != next_values(SPACE, trials, 8, 5)


def test_the_first_trials_have_each_part_of_each_range_once():
    space = SPACE | {"batch_size": Dimension(0, 50, whole=True), "momentum": Dimension(0.4, 0.9)}
    trials = [next_values(space, [], 3, number) for number in range(1, MIN_DONE + 1)]
    assert sorted(math.floor((math.log10(one["learning_rate"]) + 4) * 1.25) for one in trials) == [0, 1, 2, 3, 4]
    assert sorted(math.floor((one["momentum"] - 0.4) * 10) for one in trials) == [0, 1, 2, 3, 4]
    assert [round(one["batch_size"]) for one in trials] == [one["batch_size"] for one in trials]


def test_values_of_failed_trials_are_avoided():
    space = {"momentum": Dimension(0, 1)}
    failed = [Trial({"momentum": i / 20}) for i in range(11)]
    done = [Trial({"momentum": 0.6 + i / 20}, value=0.5 + i / 100) for i in range(8)]
    assert min(next_values(space, failed + done, 1, number)["momentum"] for number in range(20, 30)) > 0.5


def test_whole_numbers_and_lists_give_values_of_their_kind():
    space = {"batch_size": Dimension(8, 64, whole=True, log=True), "momentum": Dimension(choices=(0.9, 0.95))}
    values = [next_values(space, [], 1, number) for number in range(1, 20)]
    assert {type(one["batch_size"]) for one in values} == {int}
    assert {one["momentum"] for one in values} == {0.9, 0.95}


def test_a_training_is_poor_if_its_best_validation_is_below_the_median_at_the_same_epoch():
    def trial(*curve, value=None):
        return Trial({"learning_rate": 0.1, "weight_decay": 0.01}, value is None, value, dict(enumerate(curve, 1)))

    done = [trial(0.1 * i, 0.2 * i, value=0.2 * i) for i in range(1, 6)]
    assert is_poor(done, trial(0.1, 0.5), validations=2)
    assert not is_poor(done, trial(0.1, 0.7), validations=2)
    assert not is_poor(done, trial(0.1), validations=10)  # too early
    assert not is_poor(done[:4], trial(0.1, 0.1), validations=2)  # too few to compare with


@pytest.fixture
def six(post_search, devices, advance, end_trial, trial_of):
    """A search with five Done trials, and a sixth that has one validation."""

    def six(**fields):
        devices(6)
        search = advance(post_search(search_trials=6, **fields))
        for number in range(1, 6):
            end_trial(trial_of(search, number), 0.5, 0.5 + number / 10)
        sixth = trial_of(search, 6)
        sixth.metrics.create(split="val", epoch=1, iteration=1, loss=2, accuracy=0.1, learning_rate=0.1)
        return sixth

    return six


@pytest.mark.django_db
def test_a_poor_trial_is_stopped_with_the_reason(six):
    sixth = six()
    with pytest.raises(Aborted, match="stopped it at epoch 1, because its validation was worse than the median"):
        end_if_poor(sixth, 1)
    sixth.refresh_from_db()
    assert sixth.pruned_epoch == 1
    end_if_poor(sixth, 2)  # its owner has resumed it


@pytest.mark.django_db
def test_a_search_without_a_pruner_stops_no_trial(six):
    end_if_poor(six(search_pruner="none"), 1)


@pytest.mark.django_db
def test_the_training_of_a_poor_trial_ends_at_its_first_validation(six, run_training_task):
    sixth = six()
    sixth.metrics.all().delete()
    TrainedModel.objects.filter(pk=sixth.pk).update(learning_rate=1e-8)
    Device.objects.all().delete()
    register()
    trained = run_training_task(sixth)
    assert (trained.status, trained.pruned_epoch) == (Status.ABORTED, 1)
    assert trained.error.startswith("Its search stopped it at epoch 1")
