"""The number of processes and threads of the web server."""

import pytest

from digits_project.stack import web_server
from tests.support.server import RunningServer

GIB = 1 << 30


@pytest.mark.parametrize(
    "cores, gibibytes, processes", [(1, 64, 1), (2, 24, 2), (2, 3, 1), (2, 1, 1), (2, 4, 2), (64, 6, 3), (64, 512, 4)]
)
def test_cores_and_memory_decide_how_many_web_processes_there_are(cores, gibibytes, processes):
    assert web_server.suitable_processes(cores, gibibytes * GIB) == processes


@pytest.mark.parametrize("processes, threads", [(1, 8), (2, 4), (4, 4), (16, 4)])
def test_processes_share_the_threads_and_each_has_some(processes, threads):
    assert web_server.threads(8, processes) == threads


@pytest.mark.parametrize("number", ["0", "17", "two", "-1", "1.5"])
def test_a_number_of_web_processes_that_cannot_be_is_refused(home, number):
    finished = RunningServer(home, 0, DIGITS_WEB_PROCESSES=number).start_again()
    message = f"DIGITS_WEB_PROCESSES is {number!r}; it must be a number from 1 to 16\n"
    assert (finished.returncode, finished.stderr) == (1, message)


def test_make_run_starts_as_many_web_processes_as_are_set(home):
    with RunningServer(home, 0, DIGITS_WEB_PROCESSES="3") as running:
        assert len(running.child("gunicorn").children()) == 3
        assert running.get("/healthz") == 200
