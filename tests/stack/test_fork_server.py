"""The fork server: what its processes inherit, who their parent is, and what happens when it dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from digits_project import preloaded
from digits_project.common import processes
from digits_project.stack.fork_server import ForkServer
from tests.support.samples.imagedb_samples import write_digits
from tests.support.server import ROOT, RunningServer, wait_until
from tests.support.services import temporary_home

# A fork server that imports nothing of the product but its own module.
SERVER = """\
import os, sys, time
from digits_project.stack import fork_server
command = fork_server.serve(int(sys.argv[1]), list)
if command[0] == "write":
    os.write(int(command[1]), command[2].encode())
if command[0] == "exit":
    sys.exit(int(command[1]))
if command[0] == "wait":
    time.sleep(60)
if command[0] == "fail":
    raise ValueError(command[1])
"""


@pytest.fixture
def subreaper():
    """This process adopts orphans during the test, as the supervisor does."""
    processes.adopt_orphans()
    yield
    processes._prctl(processes._PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture
def server(tmp_path, subreaper):
    (tmp_path / "small_server.py").write_text(SERVER)
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    running = ForkServer("small_server", tmp_path / "log.txt", env, tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def sink(tmp_path):
    with (tmp_path / "sink.txt").open("wb") as file:
        yield file


def test_a_fork_writes_to_the_files_that_it_was_given(server, sink):
    process = server.fork(["write", "77", "hello"], {77: sink.fileno()})
    assert (process.wait(30), Path(sink.name).read_text()) == (0, "hello")


def test_the_exit_status_of_a_fork_reaches_the_supervisor(server, sink):
    assert server.fork(["exit", "3"], {2: sink.fileno()}).wait(30) == 3


def test_an_exception_of_a_fork_is_in_its_log_and_the_fork_server_goes_on(server, sink):
    assert server.fork(["fail", "no such thing"], {2: sink.fileno()}).wait(30) == 1
    assert "ValueError: no such thing" in Path(sink.name).read_text()
    assert server.fork(["exit", "0"], {2: sink.fileno()}).wait(30) == 0


def test_a_fork_is_a_child_of_the_supervisor_in_a_session_of_its_own(server, sink):
    process = server.fork(["wait"], {2: sink.fileno()})
    running = psutil.Process(process.pid)
    wait_until(lambda: running.cmdline()[0] == "wait")
    assert (running.ppid(), os.getsid(process.pid)) == (os.getpid(), process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM


def test_a_wait_for_a_fork_that_runs_on_expires(server, sink):
    process = server.fork(["wait"], {2: sink.fileno()})
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    processes.stop([process], [signal.SIGTERM], 30)


def test_a_fork_outlives_the_fork_server(server, sink):
    process = server.fork(["wait"], {2: sink.fileno()})
    server.stop()
    assert process.poll() is None
    processes.stop([process], [signal.SIGTERM], 30)


def test_a_dead_fork_server_refuses_with_the_end_of_its_log(server, sink):
    server.log.write_text("SyntaxError: invalid syntax\n")
    server.process.kill()
    with pytest.raises(processes.NotStarted, match=r"(?s)exit 0 could not be started.*SyntaxError: invalid syntax"):
        server.fork(["exit", "0"], {2: sink.fileno()})


def test_a_setting_that_is_refused_is_named_by_make_run(home):
    finished = RunningServer(home, 0, DIGITS_AUTH="perhaps").start_again()
    assert finished.returncode == 1
    assert "DIGITS_AUTH is 'perhaps'; it must be required or open" in finished.stderr


def test_a_build_in_a_fork_finds_pillow_and_numpy_imported(tmp_path):
    images = write_digits(tmp_path / "images", {0: 4, 1: 4}, ".jpg")
    script = f"""
import sys
from importlib import import_module
from pathlib import Path
from datasets.imagedb import build
from digits_project.preloaded import MODULES
from tests.support.samples.imagedb_samples import ignore_progress, spec_of
for name in MODULES:
    if name.startswith(("PIL", "numpy")):
        import_module(name)
before = set(sys.modules)
build(spec_of(Path({str(images)!r})), Path({str(tmp_path / "job")!r}), ignore_progress)
print(*sorted(name for name in set(sys.modules) - before if name.startswith(("PIL", "numpy"))))
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


def test_the_fork_server_leaves_out_large_modules_that_forks_can_still_import():
    script = "from digits_project import preloaded; preloaded.load(); import sys; print(*sys.modules); import requests"
    with temporary_home() as home:
        env = {**os.environ, "DIGITS_HOME": str(home)}
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, check=True)
    assert {"requests", "urllib3", "pynvml", "onnxruntime", "optuna"} & set(done.stdout.decode().split()) == set()


def test_a_wrong_option_ends_the_fork_and_not_the_fork_server():
    run = preloaded.prepare(["manage.py", "reaper", "--no-such-option"])
    with pytest.raises(SystemExit):
        run()


def test_a_prepared_command_runs_with_the_options_of_its_words(capsys, db):
    preloaded.prepare(["manage.py", "showmigrations", "jobs", "--plan"])()
    assert "[X]  jobs.0001" in capsys.readouterr().out
