"""The supervisor of `make run` with real processes: start, restart, stop, and one server on a home."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from tests.support.server import ROOT, RunningServer, await_exit, running, wait_until
from tests.support.services import temporary_home

PASSWORD = re.compile(r"user admin, password (\S+)")


@pytest.fixture(scope="module")
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture(scope="module")
def run(taken_port):
    with temporary_home() as home, RunningServer(home, taken_port) as running:
        yield running


def test_the_web_server_responds(run):
    assert run.get("/index.json") == 200


def test_a_taken_port_is_replaced_with_a_message(run, taken_port):
    port = int(run.url.rstrip("/").rpartition(":")[2])
    assert port != taken_port
    assert f"Port {taken_port} is taken; using {port}" in run.output.read_text()


def seen(look, processes):
    """`look(process)` of each process, except those that have ended since the server started."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(look(process))
    return found


def test_all_processes_listen_on_loopback_only(run):
    ends = seen(lambda process: process.net_connections("inet"), run.processes)
    sockets = [end for of_one in ends for end in of_one if end.status == "LISTEN"]
    assert {listener.laddr.ip for listener in sockets} == {"127.0.0.1"}


def test_a_second_start_exits_with_the_url_of_the_first(run):
    second = run.start_again()
    assert second.returncode == 1
    assert f"{run.url} (pid {run.process.pid})" in second.stderr


def test_the_password_of_the_superuser_is_printed_but_not_stored(run):
    password = PASSWORD.search(run.output.read_text())[1]
    files = [path for path in run.home.rglob("*") if path.is_file() and path != run.output]
    assert [path for path in files if password.encode() in content(path)] == []


def content(path):
    """The bytes of a file; b"" if the running server has removed it."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def test_no_password_is_in_an_argument_list(run):
    secrets = json.loads((run.home / "embedded" / "secrets.json").read_text())
    words = "\n".join(word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or [])
    assert [name for name in ("postgres", "digits", "redis") if secrets[name] in words] == []


def test_the_telemetry_of_onnx_runtime_is_off_in_every_process(run):
    children = seen(lambda process: (process.cmdline(), process.environ()), run.processes)
    of_ours = [environment for words, environment in children if {"manage.py", "gunicorn"} & set(words)]
    assert {environment["ORT_DISABLE_TELEMETRY"] for environment in of_ours} == {"1"}


@pytest.mark.parametrize("words", [("gunicorn",), ("worker", "train"), ("reaper",)], ids=" ".join)
def test_a_killed_process_is_restarted(run, words):
    run.child(*words).kill()
    wait_until(lambda: (new := run.child(*words)) and new not in run.processes)
    assert run.get("/index.json") == 200


def test_a_killed_fork_server_is_restarted_and_the_other_processes_live_on(run):
    others = {child for child in run.children() if "digits_project.preloaded" not in child.cmdline()}
    killed = run.child("digits_project.preloaded")
    killed.kill()
    wait_until(lambda: (new := run.child("digits_project.preloaded")) and new != killed)
    assert others <= set(run.children())
    run.child("reaper").kill()
    wait_until(lambda: (new := run.child("reaper")) and new not in others)


@pytest.mark.parametrize("words", [("gunicorn",), ("worker", "train"), ("reaper",)], ids=" ".join)
def test_processes_share_most_of_their_memory(run, words):
    memory = run.child(*words).memory_full_info()
    assert memory.uss < memory.rss / 3


def test_the_fork_server_has_no_connection_but_that_of_the_supervisor(run):
    assert len(run.child("digits_project.preloaded").net_connections("all")) == 1


@pytest.mark.parametrize("library", ["onnxruntime", "cryptography"])
def test_the_fork_server_does_not_load_what_few_processes_need(run, library):
    files = [mapped.path for mapped in run.child("digits_project.preloaded").memory_maps()]
    assert [path for path in files if library in path] == []


def test_manage_py_in_another_shell_uses_the_running_services(run):
    env = {name: run.command["env"][name] for name in ("PATH", "DIGITS_HOME")}
    command = [sys.executable, "manage.py", "ensure_superuser"]
    finished = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert (finished.returncode, finished.stdout) == (0, "")


def test_ctrl_c_and_kill_9_leave_no_process_and_the_next_start_keeps_the_data(home):
    with RunningServer(home, 0) as first:
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(20) == 0
        assert running(first.processes) == []
        assert PASSWORD.search(first.output.read_text())
    with RunningServer(home, 0) as second:
        assert not PASSWORD.search(second.output.read_text())
        second.process.kill()
        await_exit(second.processes)


def test_no_embedded_service_starts_where_both_urls_are_set(home):
    urls = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    with RunningServer(home, 0, **urls) as running:
        assert running.get("/index.json") == 200
    assert not (home / "embedded").exists()


def test_a_port_that_is_no_number_is_refused(home):
    finished = RunningServer(home, "http").start_again()
    assert (finished.returncode, finished.stderr) == (1, "DIGITS_PORT is 'http'; it must be a number from 0 to 65535\n")


def test_a_home_that_cannot_be_created_exits_with_the_reason(home):
    (home / "file").touch()
    finished = RunningServer(home, 0, DIGITS_HOME=str(home / "file" / "below")).start_again()
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"DIGITS_HOME, {home}/file/below, can't be used: ")
