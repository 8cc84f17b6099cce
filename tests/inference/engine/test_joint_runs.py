"""Requests of several threads run as batches: each thread gets its own outputs, or its own exception, as soon as they
are there."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inference.engine.joint_runs import JointRuns
from tests.support.server import wait_until

BAD = 255


class Network:
    """A network with two outputs, the pixels doubled and their mean. It stops before each run until it may proceed, and
    fails for a batch with the pixel BAD."""

    def __init__(self):
        self.sizes, self.may_run = [], threading.Semaphore(0)

    def run(self, batch):
        self.sizes.append(len(batch))
        assert self.may_run.acquire(timeout=60)
        if (batch == BAD).any():
            raise ValueError("a bad pixel")
        return [2 * batch, batch.mean(axis=(1, 2))]


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def runs(network):
    return JointRuns(network.run, most_images=8)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def crowd(network, runs, pool):
    """A function that sends requests while a first one runs; their futures, in order."""

    def crowd(*requests):
        futures = []
        for number, images in enumerate(requests):
            futures.append(pool.submit(runs.outputs, images))
            wait_until(lambda number=number: len(network.sizes) + len(runs._waiting) == number + 1)
        return futures

    return crowd


def images(value, count=1):
    return np.full((count, 4, 4), value, dtype=np.float32)


def test_requests_that_wait_for_a_run_share_the_next_run(network, crowd):
    futures = crowd(*(images(value) for value in range(5)))
    network.may_run.release(2)
    means = [future.result(20)[1].tolist() for future in futures]
    assert means == [[0], [1], [2], [3], [4]]
    assert network.sizes == [1, 4]


def test_each_request_of_a_batch_gets_all_outputs_of_all_its_images(network, crowd):
    futures = crowd(images(0), images(1, count=3), images(2, count=2))
    network.may_run.release(2)
    assert [[len(output) for output in future.result(20)] for future in futures] == [[1, 1], [3, 3], [2, 2]]
    np.testing.assert_array_equal(futures[1].result()[0], images(2, count=3))


def test_outputs_are_returned_while_the_next_batch_runs(network, crowd):
    first, second, third = crowd(images(0), images(1), images(2))
    network.may_run.release()
    assert first.result(20)[1].tolist() == [0]
    wait_until(lambda: network.sizes == [1, 2])
    assert [second.done(), third.done()] == [False, False]
    network.may_run.release()
    assert [second.result(20)[1].tolist(), third.result(20)[1].tolist()] == [[1], [2]]


def test_a_batch_has_no_more_images_than_allowed(network, crowd):
    futures = crowd(images(0), *(images(value, count=3) for value in range(1, 6)))
    network.may_run.release(4)
    assert [future.result(20)[1][0] for future in futures] == [0, 1, 2, 3, 4, 5]
    assert network.sizes == [1, 6, 6, 3]


def test_a_request_larger_than_a_batch_runs_alone(network, crowd):
    futures = crowd(images(0), images(1), images(2, count=20), images(3))
    network.may_run.release(4)
    assert [len(future.result(20)[0]) for future in futures] == [1, 1, 20, 1]
    assert network.sizes == [1, 1, 20, 1]


def test_a_request_that_fails_does_not_fail_the_others_of_its_batch(network, crowd):
    futures = crowd(images(0), images(1), images(BAD), images(3))
    network.may_run.release(5)  # the first, the batch of three, and each of the three alone
    assert [future.result(20)[1].tolist() for future in (*futures[:2], futures[3])] == [[0], [1], [3]]
    with pytest.raises(ValueError, match="a bad pixel"):
        futures[2].result(20)


def test_requests_of_another_shape_run_alone(network, crowd):
    futures = crowd(images(0), images(1), np.ones((1, 5, 5), dtype=np.float32))
    network.may_run.release(3)
    assert [future.result(20)[0].shape for future in futures] == [(1, 4, 4), (1, 4, 4), (1, 5, 5)]


def test_a_request_after_one_that_failed_is_run(network, runs):
    network.may_run.release(2)
    with pytest.raises(ValueError, match="a bad pixel"):
        runs.outputs(images(BAD))
    assert runs.outputs(images(1))[1].tolist() == [1]


def test_a_crowd_of_threads_with_bad_requests_among_them_comes_to_its_end(network, runs, pool):
    network.may_run.release(100_000)
    values = [value for value, _ in zip(itertools.cycle([1, 2, BAD, 3, 4, 5, 6]), range(2000), strict=False)]
    futures = [pool.submit(runs.outputs, images(value, count=1 + value % 3)) for value in values]
    faults = [future.exception(60) for future in futures]
    assert [fault is not None for fault in faults] == [value == BAD for value in values]
    right = [(future.result()[1] == value).all() for future, value in zip(futures, values, strict=True) if value != BAD]
    assert all(right)
    assert (list(runs._waiting), runs._is_running) == ([], False)
