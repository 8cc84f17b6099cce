"""Threads are shared fairly between callers."""

import queue
import threading

import pytest

from digits_project.server.fair_share import Caller, Lane


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
