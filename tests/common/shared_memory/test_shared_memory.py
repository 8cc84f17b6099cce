"""What web processes share, with real forks that join, change it and die."""

import math
import os

import pytest

from digits_project.common.shared_memory import web_processes
from digits_project.common.shared_memory.counters import BUCKETS, ENTRIES_A_BUCKET
from digits_project.common.shared_memory.host_lock import one_of
from tests.support.server import wait_until
from tests.support.webserver import first_of_two, forked


@pytest.fixture
def shared():
    with first_of_two() as shared:
        yield shared


def test_a_counter_is_one_for_all_processes(shared):
    with forked(lambda: shared.counters.add("logins", 3)):
        assert shared.counters.add("logins", 1) == 4


def test_changes_by_several_processes_at_once_all_count(shared):
    def count():
        for _ in range(500):
            shared.counters.add("logins", 1)

    with forked(count), forked(count):
        count()
    assert shared.counters.values("logins", "others") == [1500, 0]


def test_a_counter_expires_after_its_first_change(shared):
    shared.counters.add("logins", 1, 0.05)
    wait_until(lambda: shared.counters.values("logins") == [0])
    assert shared.counters.add("logins", 1, 60) == 1


def test_a_counter_with_more_time_survives_a_flood_of_short_ones(shared):
    shared.counters.add("forever", 1)
    for number in range(BUCKETS * ENTRIES_A_BUCKET // 2):
        shared.counters.add(f"flood {number}", 1, 60)
    assert shared.counters.values("forever") == [1]


def test_what_a_process_holds_counts_until_the_process_dies(shared):
    shared.hold("lists", 1)
    with forked(lambda: (shared.join(), shared.hold("lists", 2))):
        assert shared.hold("lists", 0) == 3
    with forked(shared.join):
        assert shared.hold("lists", 0) == 1


def test_what_a_process_gives_back_does_not_count(shared):
    assert [shared.hold("lists", change) for change in (1, 1, -1, -1)] == [1, 2, 1, 0]


def test_no_process_holds_less_than_nothing(shared):
    assert [shared.hold("lists", -5), shared.hold("lists", 1)] == [0, 1]


def test_a_slot_is_free_again_when_its_process_has_died(shared):
    for _ in range(2 * web_processes.SLOTS):
        with forked(shared.join):
            assert shared.living == 2


def test_a_process_that_dies_within_an_operation_blocks_no_other(shared):
    with forked(lambda: (shared._mutex.__enter__(), os._exit(0))):
        assert shared.counters.add("logins", 1) == 1


def test_a_lock_is_held_by_one_thread_of_all_processes_until_it_dies(shared):
    lock = shared.one_at_a_time
    with forked(lock.__enter__):
        assert not lock.acquire_now()
    with lock:
        assert not lock.acquire_now()
    assert lock.acquire_now()
    lock.__exit__()


def test_as_many_threads_of_all_processes_work_as_there_are_locks(shared):
    locks = [shared.one_at_a_time, *shared.compressing[:1]]
    first, second = one_of(locks), one_of(locks)
    with forked(first.__enter__), second:
        assert [lock.acquire_now() for lock in locks] == [False, False]


def test_the_process_with_fewer_connections_is_known(shared):
    shared.set_connections(2)
    with forked(lambda: (shared.join(), shared.set_connections(1))):
        assert [shared.others_have_fewer(number) for number in (1, 2)] == [False, True]


def test_a_process_that_stops_gets_no_connections(shared):
    with forked(lambda: (shared.join(), shared.set_connections(web_processes.STOPPING))):
        assert not shared.others_have_fewer(1000)


def test_each_change_of_rows_differs_from_all_before(shared):
    seen = [shared.row_changes()]
    for _ in range(3):
        shared.rows_changed()
        seen.append(shared.row_changes())
        with forked(lambda: (shared.join(), shared.rows_changed())):
            seen.append(shared.row_changes())
    assert len(set(seen)) == len(seen)


def test_a_counter_takes_fractions(shared):
    shared.counters.add_all({"seconds": 0.25, "requests": 1})
    shared.counters.add_all({"seconds": 0.5, "requests": 1})
    assert math.isclose(shared.counters.values("seconds")[0], 0.75)
