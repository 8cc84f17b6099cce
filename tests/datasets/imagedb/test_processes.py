import itertools
import multiprocessing
import os
import select
import signal
import threading
import time
import tracemalloc

import pytest

from datasets.imagedb import build
from datasets.imagedb.pool import WorkerPool
from digits_project.common.errors import Aborted
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits, write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two seconds of work for two workers, at the size of slow()."""
    return write_photos(tmp_path_factory.mktemp("source") / "photos", 2, 40)


def slow(photos):
    return spec_of(photos, width=400, height=400, channels=3)


def children():
    return [child.pid for child in multiprocessing.active_children()]


def ended(pid, seconds=5):
    """Whether the process, of whoever it is a child, ends within that time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([descriptor], [], [], seconds)
    os.close(descriptor)
    return bool(readable)


def tripwire(fraction, action):
    """A report callback that acts once, when the build has come that far."""
    done = []

    def report(at):
        if at >= fraction and not done:
            done.append(at)
            action()

    return report


@pytest.mark.parametrize("fraction", [0, 0.06, 0.4, 0.9])
def test_an_abort_stops_everything_within_half_a_second_and_leaves_nothing(photos, tmp_path, fraction):
    seen, raised = [], []

    def abort():
        seen.extend(children())
        raised.append(time.monotonic())
        raise Aborted

    with pytest.raises(Aborted):
        build(slow(photos), tmp_path / "job", tripwire(fraction, abort))
    assert time.monotonic() - raised[0] < 0.5
    assert list((tmp_path / "job").iterdir()) == []
    assert children() == []
    assert all(ended(pid, 0) for pid in seen)


def test_an_error_of_the_callback_is_passed_on_and_leaves_nothing(photos, tmp_path):
    with pytest.raises(ZeroDivisionError):
        build(slow(photos), tmp_path / "job", tripwire(0.3, lambda: 1 // 0))
    assert list((tmp_path / "job").iterdir()) == []
    assert children() == []


def test_a_killed_worker_is_an_error_that_says_so_not_a_hang(photos, tmp_path):
    with pytest.raises(RuntimeError, match=r"Worker process \d+ was killed by SIGKILL, perhaps because .* memory"):
        build(slow(photos), tmp_path / "job", tripwire(0.2, lambda: os.kill(children()[0], signal.SIGKILL)))
    assert list((tmp_path / "job").iterdir()) == []
    assert children() == []


def killed_while_answering(task):
    """The answer takes longer to pass on than this process lives."""
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(100_000_000)


def test_a_worker_killed_in_the_middle_of_its_answer_is_an_error_too():
    with WorkerPool(killed_while_answering, 2) as pool, pytest.raises(RuntimeError, match="was killed by SIGKILL"):
        list(pool.map(range(4), lambda: None))


def test_an_error_in_a_worker_reaches_the_parent_with_its_traceback():
    with (
        WorkerPool(lambda task: 1 // task, 2) as pool,
        pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError"),
    ):
        list(pool.map([1, 0], lambda: None))


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("tasks", [0, 1, 7, 100])
def test_answers_come_in_the_order_of_the_tasks(workers, tasks):
    with WorkerPool(lambda task: task * task, workers) as pool:
        assert list(pool.map(range(tasks), lambda: None)) == [task * task for task in range(tasks)]


def test_workers_run_in_parallel():
    def meet(task):
        return barrier.wait(timeout=10)

    barrier = multiprocessing.get_context("fork").Barrier(2)
    with WorkerPool(meet, 2) as pool:
        assert set(pool.map(range(2), lambda: None)) == {0, 1}


def test_tasks_are_taken_only_as_far_as_answers_are_fetched():
    taken = []
    tasks = (taken.append(number) or number for number in range(1000))
    with WorkerPool(abs, 2) as pool:
        answers = pool.map(tasks, lambda: None)
        for _ in range(10):
            next(answers)
        assert len(taken) <= 10 + 2 * 4


def build_and_tell(photos, directory, connection):
    build(slow(photos), directory, tripwire(0.2, lambda: connection.send(children())))


def test_workers_die_with_a_killed_parent(photos, tmp_path):
    context = multiprocessing.get_context("fork")
    near, far = context.Pipe()
    parent = context.Process(target=build_and_tell, args=(photos, tmp_path / "job", far))
    parent.start()
    workers = near.recv()
    parent.kill()
    parent.join()
    assert len(workers) == 2
    assert all(ended(pid) for pid in workers)


def test_workers_leave_ctrl_c_and_the_parents_handlers_to_the_parent():
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with WorkerPool(lambda task: signal.getsignal(task), 1) as pool:
            handlers = list(pool.map([signal.SIGINT, signal.SIGUSR1], lambda: None))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handlers == [signal.SIG_IGN, signal.SIG_DFL]


def test_progress_is_reported_all_the_time_goes_up_and_ends_at_one(photos, tmp_path):
    calls = []
    build(slow(photos), tmp_path / "job", lambda fraction: calls.append((time.monotonic(), fraction)))
    times, fractions = zip(*calls, strict=True)
    assert list(fractions) == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    assert gaps[len(gaps) // 2] < 0.2
    assert gaps[-1] < 1


def peak_of_building(folder, directory):
    """Bytes that Python and NumPy held at most, less what they held before."""
    tracemalloc.start()
    try:
        build(spec_of(folder), directory, ignore_progress)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_grows_by_a_few_bytes_an_image(tmp_path):
    """Fewer than the shortest Python string takes, let alone a path."""
    sizes = (1000, 4000)
    folders = [write_digits(tmp_path / str(size), {0: 1, 1: 1}) for size in sizes]
    for folder, size in zip(folders, sizes, strict=True):
        for number in range(size // 2):
            os.link(folder / "0" / "000.png", folder / "0" / f"with a rather long name {number}.png")
            os.link(folder / "1" / "000.png", folder / "1" / f"with a rather long name {number}.png")
    small, large = (peak_of_building(folder, tmp_path / f"job of {folder.name}") for folder in folders)
    assert (large - small) / (sizes[1] - sizes[0]) < 40
