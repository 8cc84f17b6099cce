"""The fair share of threads among callers."""

import queue
import threading
import time

import pytest

from digits_project.server.fair_share import MAX_WAITING, MIN_WAITING, Caller, Lane


@pytest.fixture
def lane():
    """A lane of four threads: submit(caller, name), next_started() -> (name, event), finish(event), the queue."""
    finished, started = queue.Queue(), queue.Queue()
    lane = Lane("test", 4, lambda *call: finished.put(call))

    def submit(caller, name):
        end = threading.Event()
        lane.submit(caller, lambda: (started.put((name, end)), end.wait(20)), lambda future: None)

    def finish(end):
        end.set()
        function, *arguments = finished.get(timeout=60)
        function(*arguments)

    running = []

    def next_started():
        running.append(started.get(timeout=60))
        return running[-1]

    yield submit, next_started, finish, started
    for _, end in running:
        end.set()
    lane.shutdown(wait=False)


def user(name):
    return Caller(name, (name,))


def stranger(address):
    return Caller(address, (address, "strangers"), logged_in=False)


def test_a_caller_gets_at_most_half_of_the_threads(lane):
    submit, next_started, finish, started = lane
    for number in range(9):
        submit(user("vera"), f"vera {number}")
    first, second = next_started(), next_started()
    submit(user("ada"), "ada")
    assert {first[0], second[0], next_started()[0]} == {"vera 0", "vera 1", "ada"}
    assert started.empty()
    finish(first[1])
    assert next_started()[0] == "vera 2"


def test_strangers_together_get_half_of_the_threads(lane):
    submit, next_started, finish, started = lane
    for number in range(5):
        submit(stranger(f"192.0.2.{number}"), number)
    first, _ = next_started(), next_started()
    submit(user("ada"), "ada")
    assert next_started()[0] == "ada"
    assert started.empty()
    finish(first[1])
    assert next_started()[0] == 2


def test_the_waiting_caller_with_the_fewest_threads_is_next(lane):
    submit, next_started, finish, _ = lane
    for name in ("vera", "vera", "vito", "vito", "vera", "ada"):
        submit(user(name), name)
    first = [next_started() for _ in range(4)]
    assert sorted(name for name, _ in first) == ["vera", "vera", "vito", "vito"]
    finish(first[0][1])
    assert next_started()[0] == "ada"


def test_the_caller_without_a_thread_that_has_waited_longest_is_next(lane):
    submit, next_started, finish, _ = lane
    for number in range(4):
        submit(user(f"busy {number}"), number)
    first = [next_started() for _ in range(4)]
    for caller in (stranger("192.0.2.1"), user("ada"), stranger("192.0.2.2"), user("vito")):
        submit(caller, caller.key)
    started = []
    for _, end in first:
        finish(end)
        started.append(next_started()[0])
    assert started == ["192.0.2.1", "ada", "192.0.2.2", "vito"]


def test_the_cost_of_a_submission_does_not_grow_with_the_number_of_callers():
    lane = Lane("test", 2, lambda *call: None)
    started = time.thread_time()
    for number in range(8_000):
        lane.submit(stranger(f"192.0.2.{number}"), threading.Event().set, lambda future: None)
    assert time.thread_time() - started < 4  # a search through all callers took 16
    lane.shutdown(wait=False)


@pytest.fixture
def busy_lane():
    """A lane whose only thread is busy."""
    lane, end = Lane("test", 1, lambda *call: None), threading.Event()
    lane.submit(user("somebody"), lambda: end.wait(20), lambda future: None)
    yield lane
    end.set()
    lane.shutdown(wait=False)


def submit_waiting(lane, caller, times):
    for _ in range(times):
        lane.submit(caller, threading.Event, lambda future: None)


def test_a_caller_has_a_limited_number_of_waiting_requests(busy_lane):
    submit_waiting(busy_lane, user("vera"), MAX_WAITING)
    assert busy_lane.is_full(user("vera"))
    assert not busy_lane.is_full(user("ada"))


def test_strangers_share_the_limit_of_waiting_requests_above_a_minimum_for_each(busy_lane):
    submit_waiting(busy_lane, stranger("192.0.2.1"), MAX_WAITING)
    assert busy_lane.is_full(stranger("192.0.2.1"))
    assert not busy_lane.is_full(stranger("192.0.2.2"))
    submit_waiting(busy_lane, stranger("192.0.2.2"), MIN_WAITING)
    assert busy_lane.is_full(stranger("192.0.2.2"))
    assert not busy_lane.is_full(user("ada"))


def test_processes_share_the_number_of_requests_that_can_wait():
    lane = Lane("test", 1, lambda *call: None, processes=2)
    end = threading.Event()
    for _ in range(1 + MAX_WAITING // 2):
        assert not lane.is_full(user("ada"))
        lane.submit(user("ada"), lambda: end.wait(20), lambda future: None)
    assert lane.is_full(user("ada"))
    end.set()
    lane.shutdown(wait=False)
