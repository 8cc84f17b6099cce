"""Threads are shared fairly between callers."""

import queue
import threading
import time

import pytest

from digits_project.server.fair_share import MAX_WAITING, MIN_WAITING, Caller, Lane


@pytest.fixture
def lane():
    """Of four threads: submit(caller, name), next_begun() as (name, event), finish(event), the queue of those begun."""
    later, begun = queue.Queue(), queue.Queue()
    lane = Lane("test", 4, lambda *call: later.put(call))

    def submit(caller, name):
        end = threading.Event()
        lane.submit(caller, lambda: (begun.put((name, end)), end.wait(20)), lambda future: None)

    def finish(end):
        end.set()
        function, *arguments = later.get(timeout=20)
        function(*arguments)

    running = []

    def next_begun():
        running.append(begun.get(timeout=20))
        return running[-1]

    yield submit, next_begun, finish, begun
    for _, end in running:
        end.set()
    lane.shutdown(wait=False)


def user(name):
    return Caller(name, (name,))


def stranger(address):
    return Caller(address, (address, "strangers"), logged_in=False)


def test_nobody_has_more_than_half_and_the_next_comes_at_once(lane):
    submit, next_begun, finish, begun = lane
    for number in range(9):
        submit(user("vera"), f"vera {number}")
    first, second = next_begun(), next_begun()
    submit(user("ada"), "ada")
    assert {first[0], second[0], next_begun()[0]} == {"vera 0", "vera 1", "ada"}
    assert begun.empty()
    finish(first[1])
    assert next_begun()[0] == "vera 2"


def test_strangers_have_half_of_the_threads_together(lane):
    submit, next_begun, finish, begun = lane
    for number in range(5):
        submit(stranger(f"192.0.2.{number}"), number)
    first, _ = next_begun(), next_begun()
    submit(user("ada"), "ada")
    assert next_begun()[0] == "ada"
    assert begun.empty()
    finish(first[1])
    assert next_begun()[0] == 2


def test_of_those_who_wait_the_one_with_the_fewest_threads_is_next(lane):
    submit, next_begun, finish, _ = lane
    for name in ("vera", "vera", "vito", "vito", "vera", "ada"):
        submit(user(name), name)
    first = [next_begun() for _ in range(4)]
    assert sorted(name for name, _ in first) == ["vera", "vera", "vito", "vito"]
    finish(first[0][1])
    assert next_begun()[0] == "ada"


def test_of_those_without_a_thread_the_one_who_has_waited_for_longest_is_next(lane):
    submit, next_begun, finish, _ = lane
    for number in range(4):
        submit(user(f"busy {number}"), number)
    first = [next_begun() for _ in range(4)]
    for caller in (stranger("192.0.2.1"), user("ada"), stranger("192.0.2.2"), user("vito")):
        submit(caller, caller.key)
    begun = []
    for _, end in first:
        finish(end)
        begun.append(next_begun()[0])
    assert begun == ["192.0.2.1", "ada", "192.0.2.2", "vito"]


def test_a_crowd_of_callers_costs_no_more_for_each():
    lane = Lane("test", 2, lambda *call: None)
    started = time.thread_time()
    for number in range(8_000):
        lane.submit(stranger(f"192.0.2.{number}"), threading.Event().set, lambda future: None)
    assert time.thread_time() - started < 4  # it took 16
    lane.shutdown(wait=False)


@pytest.fixture
def held_lane():
    """Its only thread is busy."""
    lane, end = Lane("test", 1, lambda *call: None), threading.Event()
    lane.submit(user("somebody"), lambda: end.wait(20), lambda future: None)
    yield lane
    end.set()
    lane.shutdown(wait=False)


def wait(lane, caller, times):
    for _ in range(times):
        lane.submit(caller, threading.Event, lambda future: None)


def test_only_so_many_requests_of_a_caller_wait(held_lane):
    wait(held_lane, user("vera"), MAX_WAITING)
    assert held_lane.is_full(user("vera"))
    assert not held_lane.is_full(user("ada"))


def test_a_stranger_among_many_has_few_requests_waiting_and_some_in_any_case(held_lane):
    wait(held_lane, stranger("192.0.2.1"), MAX_WAITING)
    assert held_lane.is_full(stranger("192.0.2.1"))
    assert not held_lane.is_full(stranger("192.0.2.2"))
    wait(held_lane, stranger("192.0.2.2"), MIN_WAITING)
    assert held_lane.is_full(stranger("192.0.2.2"))
    assert not held_lane.is_full(user("ada"))
