"""What networks cost, by the shapes of their layers."""

import pytest

from models_app.estimates.cost_model import Workload, seconds_of
from models_app.estimates.network_costs import costs_of
from models_app.networks import parameter_count, standard
from models_app.networks.fine_tuning import FineTuning


def test_the_multiplications_of_lenet_are_those_of_its_four_layers():
    costs = costs_of(standard("lenet", (1, 28, 28), 10))
    assert costs.multiplications == 24 * 24 * 25 * 20 + 8 * 8 * 25 * 20 * 50 + 800 * 500 + 500 * 10
    assert costs.weights == costs.trained == parameter_count(standard("lenet", (1, 28, 28), 10))


def test_published_networks_have_the_multiplications_that_their_papers_say():
    assert costs_of(standard("resnet50", (3, 224, 224), 1000)).multiplications == pytest.approx(3.9e9, rel=0.05)
    assert costs_of(standard("mobilenet_v2", (3, 224, 224), 1000)).multiplications == pytest.approx(300e6, rel=0.05)
    assert costs_of(standard("efficientnet_lite0", (3, 224, 224), 1000)).multiplications == pytest.approx(
        385e6, rel=0.05
    )


def test_a_head_has_next_to_no_backward_pass_and_reads_the_features():
    costs = costs_of(standard("efficientnet_lite0", (3, 64, 64), 10), FineTuning("head"))
    assert costs.backward < 0.001
    assert (costs.features, costs.trained) == (1280, 1280 * 10 + 10)


def test_a_network_of_timm_has_the_features_of_its_head_and_what_a_training_keeps():
    atto = standard("timm/convnext_atto", (3, 448, 448), 10, 0)
    costs = costs_of(atto, FineTuning("head"))
    assert (costs.features, costs.kept, costs.trained) == (320, 0, 3210)
    assert costs_of(atto).kept == 4 * 7_898_462
    assert costs_of(atto).memory >= 4 * costs_of(atto).kept


def test_a_training_takes_longer_with_more_images_and_less_time_on_more_cores():
    costs = costs_of(standard("resnet18", (3, 64, 64), 10))
    few, many = (seconds_of(costs, Workload(images, 0), cores=2) for images in (10_000, 100_000))
    assert many > 5 * few
    assert seconds_of(costs, Workload(100_000, 0), cores=8) < many / 1.9
