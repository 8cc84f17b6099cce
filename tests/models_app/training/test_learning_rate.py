"""The learning rate during a training, by policy."""

import math

import pytest

from digits_project.common.errors import BadInput
from models_app.training.learning_rate import POLICIES, LearningRatePolicy, learning_rate

RATES = {
    "fixed": {0: 0.01, 33: 0.01, 50: 0.01, 100: 0.01},
    "step": {0: 0.01, 32.9: 0.01, 33: 0.001, 50: 0.001, 65.9: 0.001, 66: 0.0001, 85: 0.0001, 99: 0.00001},
    "multistep": {0: 0.01, 49.9: 0.01, 50: 0.005, 84.9: 0.005, 85: 0.0025, 100: 0.0025},
    "exp": {0: 0.01, 1: 0.0095, 2: 0.009025, 50: 0.01 * 0.95**50, 100: 0.01 * 0.95**100},
    "inv": {0: 0.01, 30: 0.005, 50: 0.01 / math.sqrt(6), 80: 0.01 / 3, 100: 0.01 / math.sqrt(11)},
    "poly": {0: 0.01, 33: 0.01 * 0.67**3, 50: 0.00125, 85: 0.01 * 0.15**3, 100: 0},
    "sigmoid": {0: 0.01 / (1 + math.exp(-5)), 50: 0.005, 85: 0.01 / (1 + math.exp(3.5)), 100: 0.01 / (1 + math.exp(5))},
    "cosine": {0: 0.01, 25: 0.005 * (1 + math.sqrt(0.5)), 50: 0.005, 75: 0.005 * (1 - math.sqrt(0.5)), 100: 0},
    "one_cycle": {0: 0.0004, 15: 0.0052, 30: 0.01, 65: 0.005, 100: 0},
    "plateau": {0: 0.01, 50: 0.01, 100: 0.01},
}  # fmt: skip


@pytest.mark.parametrize(
    "policy, percent, rate", [(policy, i, rate) for policy, rates in RATES.items() for i, rate in rates.items()]
)
def test_the_learning_rate_follows_the_formula_of_its_policy(policy, percent, rate):
    assert learning_rate(LearningRatePolicy(learning_rate=0.01, lr_policy=policy), percent) == pytest.approx(
        rate, rel=1e-12, abs=1e-18
    )


def test_every_policy_has_expected_rates_in_this_module():
    assert set(POLICIES) == set(RATES)


@pytest.mark.parametrize(
    "parameters, percent, rate",
    [
        ({"lr_policy": "step", "lr_step_size": 10, "lr_step_gamma": 0.5}, 30, 1 / 8),
        ({"lr_policy": "multistep", "lr_multistep_values": (10, 20, 30), "lr_multistep_gamma": 0.1}, 20, 0.01),
        ({"lr_policy": "multistep", "lr_multistep_values": ()}, 99, 1),
        ({"lr_policy": "exp", "lr_exp_gamma": 0.5}, 3, 1 / 8),
        ({"lr_policy": "inv", "lr_inv_gamma": 1, "lr_inv_power": 2}, 3, 1 / 16),
        ({"lr_policy": "poly", "lr_poly_power": 2}, 50, 1 / 4),
        ({"lr_policy": "sigmoid", "lr_sigmoid_step": 20, "lr_sigmoid_gamma": 1}, 21, 1 / (1 + math.exp(1))),
        ({"lr_policy": "cosine", "lr_cosine_end": 0.2}, 50, 0.6),
        ({"lr_policy": "cosine", "lr_cosine_end": 0.2}, 100, 0.2),
        ({"lr_policy": "one_cycle", "lr_one_cycle_peak": 10}, 10, 1),
        ({"lr_policy": "one_cycle", "lr_one_cycle_start": 0.5}, 15, 0.75),
        ({"lr_policy": "one_cycle", "lr_one_cycle_end": 0.5}, 65, 0.75),
        ({"lr_policy": "fixed", "lr_warmup": 20}, 0, 0.01),
        ({"lr_policy": "fixed", "lr_warmup": 20}, 10, 0.505),
        ({"lr_policy": "fixed", "lr_warmup": 20}, 20, 1),
        ({"lr_policy": "cosine", "lr_warmup": 20}, 60, 0.5),
        ({"lr_policy": "step", "lr_warmup": 20, "lr_step_size": 50}, 59, 1),
        ({"lr_policy": "step", "lr_warmup": 20, "lr_step_size": 50}, 60, 0.1),
        ({"lr_policy": "one_cycle", "lr_warmup": 50}, 25, 0.04 * 0.505),
    ],
)
def test_each_parameter_of_a_policy_changes_its_learning_rate(parameters, percent, rate):
    assert learning_rate(LearningRatePolicy(learning_rate=1, **parameters), percent) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("plateaus, rate", [(0, 0.5), (1, 0.1), (3, 0.004)])
def test_each_plateau_of_the_validation_multiplies_the_rate_by_gamma(plateaus, rate):
    policy = LearningRatePolicy(learning_rate=0.5, lr_policy="plateau", lr_plateau_gamma=0.2)
    assert learning_rate(policy, 40, plateaus) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    "parameters, plateaus",
    [({"lr_policy": "plateau"}, 37), ({"lr_policy": "plateau"}, 1000), ({"lr_policy": "exp", "lr_exp_gamma": 0.1}, 0)],
)
def test_a_rate_too_small_for_float32_is_0(parameters, plateaus):
    assert learning_rate(LearningRatePolicy(**parameters), 37, plateaus) == 0


def test_other_policies_ignore_plateaus():
    assert learning_rate(LearningRatePolicy(lr_policy="fixed"), 40, 5) == 0.01


def test_a_sigmoid_policy_too_steep_for_a_float_ends_at_zero():
    assert learning_rate(LearningRatePolicy(lr_policy="sigmoid", lr_sigmoid_gamma=1e6), 100) == 0


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"lr_policy": "linear"}, f"lr_policy must be one of {', '.join(RATES)}, not 'linear'"),
        ({"lr_warmup": 100}, "lr_warmup must be a number from 0 and below 100, not 100"),
        ({"lr_one_cycle_peak": 0}, "lr_one_cycle_peak must be a number above 0 and below 100, not 0"),
        ({"lr_cosine_end": 1.5}, "lr_cosine_end must be a number from 0 to 1, not 1.5"),
        ({"lr_plateau_patience": 0}, "lr_plateau_patience must be a whole number from 1 to 100000, not 0"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, not 0"),
        ({"learning_rate": math.nan}, "learning_rate must be a number above 0, not nan"),
        ({"learning_rate": "0.1"}, "learning_rate must be a number above 0, not '0.1'"),
        ({"learning_rate": True}, "learning_rate must be a number above 0, not True"),
        ({"lr_poly_power": math.inf}, "lr_poly_power must be a number from 0, not inf"),
        ({"lr_step_size": 0}, "lr_step_size must be a number above 0, not 0"),
        ({"lr_step_gamma": -1}, "lr_step_gamma must be a number from 0, not -1"),
        ({"lr_multistep_gamma": -1}, "lr_multistep_gamma must be a number from 0, not -1"),
        ({"lr_exp_gamma": -1}, "lr_exp_gamma must be a number from 0, not -1"),
        ({"lr_inv_gamma": -1}, "lr_inv_gamma must be a number from 0, not -1"),
        (
            {"lr_policy": "multistep", "lr_multistep_values": (85, 50)},
            "lr_multistep_values must increase, as in 50,85, but are 85,50",
        ),
        ({"lr_multistep_values": (50, "x")}, "lr_multistep_values must be a list of numbers, not (50, 'x')"),
    ],
)  # fmt: skip
def test_an_invalid_policy_is_refused_with_the_reason(parameters, message):
    with pytest.raises(BadInput) as raised:
        LearningRatePolicy(**parameters)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "parameters, percent",
    [
        ({"lr_policy": "exp", "lr_exp_gamma": 1e10}, 100),
        ({"lr_policy": "exp", "lr_exp_gamma": 10}, 60),
        ({"lr_policy": "step", "lr_step_size": 1e-3, "lr_step_gamma": 10}, 1),
    ],
)
def test_a_learning_rate_beyond_the_range_of_float32_is_a_bad_input(parameters, percent):
    with pytest.raises(BadInput, match=f"lr_policy {parameters['lr_policy']} raises the learning rate beyond 1e.38"):
        learning_rate(LearningRatePolicy(**parameters), percent)
