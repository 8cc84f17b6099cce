"""Worker processes of a build: aborts, killed processes, order of results, progress and memory."""

import itertools
import multiprocessing
import os
import select
import signal
import threading
import time
import tracemalloc
from contextlib import ExitStack

import pytest

from datasets.imagedb import build
from datasets.imagedb.pool import WorkerPool
from digits_project.common.errors import Aborted
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits, write_photos
from tests.support.stopwatch import Stopwatch


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos that keep two workers busy for two seconds with slow_spec()."""
    return write_photos(tmp_path_factory.mktemp("source") / "photos", 2, 40)


def slow_spec(photos):
    return spec_of(photos, width=400, height=400, channels=3)


def children():
    return [child.pid for child in multiprocessing.active_children()]


def has_ended(pid, seconds=60):
    """Return whether a process, which need not be a child of this one, ends within this time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([descriptor], [], [], seconds)
    os.close(descriptor)
    return bool(readable)


def act_once(fraction, action):
    """A progress callback that calls `action` once, when the build has reached this fraction."""
    called = []

    def report(at):
        if at >= fraction and not called:
            called.append(at)
            action()

    return report


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0, 0.06, 0.4, 0.9])
def test_an_abort_stops_a_build_within_half_a_second_and_leaves_no_files(photos, tmp_path, fraction):
    pids, stack, watch = [], ExitStack(), Stopwatch()

    def abort():
        pids.extend(children())
        stack.enter_context(watch)
        raise Aborted

    with stack, pytest.raises(Aborted):
        build(slow_spec(photos), tmp_path / "job", act_once(fraction, abort))
    assert watch.seconds < 0.5
    assert list((tmp_path / "job").iterdir()) == []
    assert children() == []
    assert all(has_ended(pid, 0) for pid in pids)


@pytest.mark.slow
def test_an_error_in_the_progress_callback_ends_the_build_and_leaves_no_files(photos, tmp_path):
    with pytest.raises(ZeroDivisionError):
        build(slow_spec(photos), tmp_path / "job", act_once(0.3, lambda: 1 // 0))
    assert list((tmp_path / "job").iterdir()) == []
    assert children() == []


def test_a_killed_worker_process_ends_the_build_with_an_error(photos, tmp_path):
    with pytest.raises(RuntimeError, match=r"Worker process \d+ was killed by SIGKILL, perhaps because .* memory"):
        build(slow_spec(photos), tmp_path / "job", act_once(0.2, lambda: os.kill(children()[0], signal.SIGKILL)))
    assert list((tmp_path / "job").iterdir()) == []
    assert children() == []


def kill_while_sending(task):
    """Kill this process while it sends a large result."""
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(100_000_000)


def test_a_worker_process_killed_while_it_sends_a_result_is_an_error():
    with WorkerPool(kill_while_sending, 2) as pool, pytest.raises(RuntimeError, match="was killed by SIGKILL"):
        list(pool.map(range(4), lambda: None))


def test_an_error_in_a_worker_process_reaches_the_parent_with_its_traceback():
    with (
        WorkerPool(lambda task: 1 // task, 2) as pool,
        pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError"),
    ):
        list(pool.map([1, 0], lambda: None))


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("tasks", [0, 1, 7, 100])
def test_results_of_a_worker_pool_are_in_the_order_of_the_tasks(workers, tasks):
    with WorkerPool(lambda task: task * task, workers) as pool:
        assert list(pool.map(range(tasks), lambda: None)) == [task * task for task in range(tasks)]


def test_worker_processes_run_in_parallel():
    def wait_for_other(task):
        return barrier.wait(timeout=60)

    barrier = multiprocessing.get_context("fork").Barrier(2)
    with WorkerPool(wait_for_other, 2) as pool:
        assert set(pool.map(range(2), lambda: None)) == {0, 1}


def test_a_worker_pool_takes_tasks_only_as_results_are_read():
    started = []
    tasks = (started.append(number) or number for number in range(1000))
    with WorkerPool(abs, 2) as pool:
        results = pool.map(tasks, lambda: None)
        for _ in range(10):
            next(results)
        assert len(started) <= 10 + 2 * 4


def build_and_send_workers(photos, directory, connection):
    build(slow_spec(photos), directory, act_once(0.2, lambda: connection.send(children())))


def test_worker_processes_end_when_their_parent_is_killed(photos, tmp_path):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    parent = context.Process(target=build_and_send_workers, args=(photos, tmp_path / "job", sender))
    parent.start()
    workers = receiver.recv()
    parent.kill()
    parent.join()
    assert len(workers) == 2
    assert all(has_ended(pid) for pid in workers)


def test_worker_processes_ignore_ctrl_c_and_the_signal_handlers_of_the_parent():
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with WorkerPool(lambda task: signal.getsignal(task), 1) as pool:
            handlers = list(pool.map([signal.SIGINT, signal.SIGUSR1], lambda: None))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handlers == [signal.SIG_IGN, signal.SIG_DFL]


@pytest.mark.slow
def test_the_progress_of_a_build_is_reported_often_and_rises_to_one(photos, tmp_path):
    calls = []
    build(slow_spec(photos), tmp_path / "job", lambda fraction: calls.append((time.monotonic(), fraction)))
    times, fractions = zip(*calls, strict=True)
    assert list(fractions) == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    whole = times[-1] - times[0]
    assert gaps[len(gaps) // 2] < whole / 5
    assert gaps[-1] < whole / 2


def peak_memory_of_build(folder, directory):
    """The largest number of bytes that Python and NumPy allocated during a build."""
    tracemalloc.start()
    try:
        build(spec_of(folder), directory, ignore_progress)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_the_memory_of_a_build_grows_by_less_than_40_bytes_per_image(tmp_path):
    """A build that kept a Python string for each image would need more: the shortest string takes 49 bytes."""
    sizes = (1000, 4000)
    folders = [write_digits(tmp_path / str(size), {0: 1, 1: 1}) for size in sizes]
    for folder, size in zip(folders, sizes, strict=True):
        for number in range(size // 2):
            os.link(folder / "0" / "000.png", folder / "0" / f"with a rather long name {number}.png")
            os.link(folder / "1" / "000.png", folder / "1" / f"with a rather long name {number}.png")
    small, large = (peak_memory_of_build(folder, tmp_path / f"job of {folder.name}") for folder in folders)
    assert (large - small) / (sizes[1] - sizes[0]) < 40
