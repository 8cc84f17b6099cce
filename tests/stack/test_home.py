"""The server's home: who can write to it, and which of its files are trusted."""

import json
import os
import stat
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from digits_project import environment
from digits_project.api.uploads import DiskUpload
from digits_project.common import processes
from digits_project.stack.embedded import Services, running_urls
from digits_project.stack.home import (
    NotOurs,
    adopt_running,
    already_running,
    close_to_writers,
    read_own,
    remove_abandoned_uploads,
)
from tests.support.server import ROOT, RunningServer, wait_until
from tests.support.services import temporary_home

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
OTHER_USER = 12_345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@contextmanager
def umask_of_zero():
    """A umask of 0, as some containers and init scripts set it."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def run():
    """A server that was started with a umask of 0, on a home that has nothing else in it."""
    with temporary_home() as folder, ExitStack() as running:
        with umask_of_zero():
            (folder / "new").mkdir()
            server = running.enter_context(RunningServer(folder / "new", 0))
        yield server


@pytest.fixture
def running_home(home, monkeypatch):
    """A home on which a server runs; calling the fixture writes its stack.json and returns the home."""
    monkeypatch.setenv("DIGITS_HOME", str(home))
    monkeypatch.delenv("DIGITS_JOBS_DIR")

    def write_stack_json(text):
        (home / "stack.json").write_text(text)
        return home

    with processes.exclusive(home / "lock"):
        yield write_stack_json


def writable_by_others(folder):
    """The paths in a folder that others can write to, without links and sockets, whose modes mean nothing."""
    return [
        str(path.relative_to(folder))
        for path, mode in modes(folder)
        if not stat.S_ISLNK(mode) and not stat.S_ISSOCK(mode) and mode & WRITABLE_BY_OTHERS
    ]


def modes(folder):
    """The paths in a folder with their modes, except those that a running server removes meanwhile."""
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            yield path, path.lstat().st_mode


def test_a_server_started_without_a_umask_writes_no_file_that_others_can_change(run, digits_folder):
    home, images = run.home, {"dataset_name": "d", "folder_train": str(digits_folder)}
    dataset = run.create_job("/datasets/images/classification.json", **images)
    manage = [sys.executable, "manage.py", "backup", str(home / "b.tar")]
    env = {"PATH": os.environ["PATH"], "DIGITS_HOME": str(home)}
    with umask_of_zero():
        subprocess.run(manage, env=env, cwd=ROOT, check=True, capture_output=True)
    wait_until(lambda: run.job_status(dataset) == "Done", 60)
    assert (home / "jobs" / dataset / "train.rec").is_file()
    assert writable_by_others(home) == ["output.txt"]  # of this test
    assert stat.S_IMODE((home / "log").stat().st_mode) == 0o755


def test_a_start_closes_files_that_others_can_write_to(home):
    (home / "log").mkdir()
    (home / "log" / "web.log").touch()
    (home / "jobs").mkdir()
    for path in (home, home / "log", home / "log" / "web.log", home / "jobs"):
        path.chmod(0o777)
    close_to_writers(home)
    assert writable_by_others(home) == []


def test_a_start_closes_open_folders_of_jobs_with_their_content(home):
    job = home / "jobs" / "20260101-000000-0001"
    (job / "snapshots" / "epoch-1").mkdir(parents=True)
    (job / "snapshots" / "epoch-1" / "model.onnx").touch()
    (home / "elsewhere").touch()
    (job / "link").symlink_to(home / "elsewhere")
    os.mkfifo(job / "pipe")
    for path in (home / "elsewhere", *job.rglob("*"), job, home / "jobs", home):
        path.chmod(0o777)
    close_to_writers(home)
    assert writable_by_others(home / "jobs") == []
    assert stat.S_IMODE((home / "elsewhere").stat().st_mode) == 0o777  # it is behind a link


def test_a_closed_folder_of_a_job_is_not_searched(home, monkeypatch):
    (home / "jobs" / "20260101-000000-0001").mkdir(parents=True)
    (home / "jobs" / "20260101-000000-0001").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rglob", None)
        close_to_writers(home)


def test_a_home_with_the_sticky_bit_stays_open(home):
    home.chmod(0o1777)  # the mode of /tmp
    close_to_writers(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o1777


def test_a_link_in_the_logs_changes_no_mode_elsewhere(home):
    (home / "log").mkdir()
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "file").touch()
    (home / "elsewhere" / "file").chmod(0o666)
    (home / "log" / "link").symlink_to(home / "elsewhere" / "file")
    close_to_writers(home)
    assert stat.S_IMODE((home / "elsewhere" / "file").stat().st_mode) == 0o666


def test_stack_json_sets_only_the_shared_variables(running_home, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    running_home(
        json.dumps({"environment": {"LD_PRELOAD": "/tmp/x.so", "DATABASE_URL": "x", "DIGITS_JOBS_DIR": "/jobs"}})
    )
    before = os.environ.get("DATABASE_URL")
    adopt_running()
    assert "LD_PRELOAD" not in os.environ
    assert os.environ.get("DATABASE_URL") == before
    assert os.environ["DIGITS_JOBS_DIR"] == "/jobs"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", '{"environment": []}', '{"environment": {"DIGITS_JOBS_DIR": ["/x"]}}', "[" * 100_000, "{}"],
    ids=lambda text: text[:20],
)
def test_an_invalid_stack_json_sets_no_variable(running_home, text):
    home = running_home(text)
    adopt_running()
    assert "DIGITS_JOBS_DIR" not in os.environ
    assert f"DIGITS already runs on {home}" in already_running(home)


@needs_root
def test_a_stack_json_of_another_user_is_refused(running_home):
    home = running_home(json.dumps({"pid": 1, "url": "", "environment": {"DIGITS_JOBS_DIR": "/jobs"}}))
    os.chown(home / "stack.json", OTHER_USER, OTHER_USER)
    with pytest.raises(NotOurs, match=f"belongs to the user {OTHER_USER}"):
        adopt_running()
    assert "kill" not in already_running(home)


def test_a_world_writable_stack_json_is_refused(running_home):
    home = running_home(json.dumps({"environment": {"DIGITS_JOBS_DIR": "/jobs"}}))
    (home / "stack.json").chmod(0o666)
    with pytest.raises(NotOurs, match="can be written to by everybody"):
        adopt_running()


def test_manage_py_names_the_file_that_it_does_not_trust(running_home):
    home = running_home("{}")
    (home / "stack.json").chmod(0o666)
    env = {"PATH": os.environ["PATH"], "DIGITS_HOME": str(home)}
    run = subprocess.run(
        [sys.executable, "manage.py", "check"], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "stack.json can be written to by everybody" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_named_pipe_is_refused(home):
    os.mkfifo(home / "pipe")
    with pytest.raises(NotOurs):
        read_own(home / "pipe", home)


@needs_root
def test_a_secret_key_of_another_user_is_refused(home):
    environment.secret_key(home)
    os.chown(home / "secret_key", OTHER_USER, OTHER_USER)
    with pytest.raises(ImproperlyConfigured, match="secret_key belongs to the user"):
        environment.secret_key(home)


@needs_root
def test_root_accepts_a_home_of_the_user_who_runs_the_server(home):
    environment.secret_key(home)
    for path in (home, home / "secret_key"):
        os.chown(path, OTHER_USER, OTHER_USER)
    assert environment.secret_key(home)


@needs_root
def test_urls_and_secrets_of_another_user_are_refused(home, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with Services(home, postgres=False) as services:
        assert running_urls(home) == {"REDIS_URL": services.redis_url}
        os.chown(home / "embedded" / "urls.json", OTHER_USER, OTHER_USER)
        with pytest.raises(NotOurs):
            running_urls(home)
        with pytest.raises(ImproperlyConfigured):
            environment.service_url("DATABASE_URL", home)
    os.chown(home / "embedded" / "secrets.json", OTHER_USER, OTHER_USER)
    with pytest.raises(NotOurs), Services(home, postgres=False):
        pass


def test_uploads_that_no_process_holds_open_are_removed(settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    (tmp_path / "tmpleft.upload.zip").write_bytes(b"left behind")
    (tmp_path / "other.onnx").touch()
    upload = DiskUpload()
    upload.new_file("archive_train", "a.zip", "application/zip", 4 << 20, None)
    remove_abandoned_uploads(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {Path(upload.file.temporary_file_path()).name, "other.onnx"}
    upload.file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["other.onnx"]


def test_uploads_of_a_killed_web_process_are_removed_by_the_next(run):
    leftover = run.home / "uploads" / "tmpleft.upload"
    leftover.write_bytes(bytes(1000))
    web = run.child("gunicorn")
    web.kill()
    wait_until(lambda: run.child("gunicorn") not in (None, web), 60)
    wait_until(lambda: not leftover.exists(), 60)
    wait_until(lambda: run.get("/index.json") == 200, 60)
