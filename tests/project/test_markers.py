"""Marks of tests are derived from what a test needs. `make quick` leaves tests out by them."""

from tests.support.markers import CALLS, called_by
from tests.support.samples.training_samples import run_trainer, start_trainer
from tests.support.server import RunningServer


def marks(request):
    return {mark.name for mark in request.node.iter_markers()} & {"browser", "database", "slow", "trainer"}


def test_a_test_that_needs_nothing_has_no_mark(request):
    assert marks(request) == set()


def test_a_test_whose_fixture_needs_the_database_is_marked(cpu, request):
    assert marks(request) == {"database"}


def test_a_trainer_started_by_a_helper_is_found():
    def fixture():
        return [run_trainer(config) for config in ()]

    assert start_trainer in called_by(fixture)
    assert CALLS[start_trainer].marks == {"slow", "trainer"}


def test_a_server_started_by_a_fixture_is_found():
    def fixture(home):
        with RunningServer(home, 0) as running:
            yield running

    assert RunningServer in called_by(fixture)


def test_calls_inside_functions_of_the_product_are_not_followed():
    assert not {*CALLS} & called_by(marks)
