"""What all commands keep to: where the server is found, what a reader that leaves sees, and a list that is watched."""

import json
import os
import pty
import signal
import subprocess

import pytest
from django.db import connection

from digits_project.common import processes
from digits_project.stack.embedded import Services
from digits_project.stack.home import adopt_running, settings_for_commands
from tests.support.console import start_command
from tests.support.server import wait_until

ALONE = {"DATABASE_URL": "", "REDIS_URL": ""}


def test_a_command_sees_the_files_that_a_running_server_sees(home, monkeypatch):
    monkeypatch.setenv("DIGITS_HOME", str(home))
    monkeypatch.delenv("DIGITS_DATA_ROOTS")
    monkeypatch.setenv("DIGITS_AUTH", "required")  # what is set here stays
    environment = {"DIGITS_AUTH": "open", "DIGITS_DATA_ROOTS": "/images"}
    (home / "stack.json").write_text(json.dumps({"pid": 1, "url": "", "environment": environment}))
    adopt_running()
    assert "DIGITS_DATA_ROOTS" not in os.environ  # a killed server left its file behind
    with processes.exclusive(home / "lock"):
        adopt_running()
    assert (os.environ["DIGITS_DATA_ROOTS"], os.environ["DIGITS_AUTH"]) == ("/images", "required")


def test_a_server_tells_what_it_was_told(monkeypatch):
    monkeypatch.setenv("DIGITS_DATA_ROOTS", "/images")
    monkeypatch.delenv("DIGITS_AUTH", raising=False)
    said = settings_for_commands()
    assert (said["DIGITS_AUTH"], said["DIGITS_DATA_ROOTS"]) == ("open", "/images")


@pytest.mark.django_db
def test_where_the_server_is_stopped_its_database_is_started(home):
    with Services(home, redis=False, durable=False):
        pass
    process = start_command("jobs", stderr=subprocess.PIPE, text=True, variables=ALONE | {"DIGITS_HOME": str(home)})
    said = process.communicate()[1]
    assert process.returncode == 1
    assert "has not the tables of this version" in said  # so it was reached
    assert "manage.py migrate" in said


@pytest.mark.django_db
def test_without_any_database_it_says_what_to_do(home):
    process = start_command("jobs", stderr=subprocess.PIPE, text=True, variables=ALONE | {"DIGITS_HOME": str(home)})
    said = process.communicate()[1]
    assert process.returncode == 1
    assert "make run" in said
    assert "Traceback" not in said


TWICE = """
import os, signal
from digits_project.jobs.console.follow import Interrupts
with Interrupts(lambda: print("the cursor is back", flush=True)):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_second_ctrl_c_leaves_at_once_with_a_tidy_terminal():
    process = start_command("shell", "-v", "0", "-c", TWICE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.communicate() == ("the cursor is back\n", "")
    assert process.returncode == 130


@pytest.mark.django_db(transaction=True)
def test_a_watched_list_is_drawn_again_until_ctrl_c(make_dataset):
    make_dataset(name="watched")
    shown, terminal = pty.openpty()
    process = start_command("jobs", "--watch", "0.1", stdout=terminal, stderr=subprocess.PIPE)
    os.close(terminal)
    seen = bytearray()
    wait_until(lambda: seen.extend(os.read(shown, 4096)) or seen.count(b"\033[H\033[2J") >= 2)
    process.send_signal(signal.SIGINT)
    process.communicate()
    os.close(shown)
    assert process.returncode == 130
    assert b"watched" in seen


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_has_had_enough_sees_no_traceback(make_dataset):
    make_dataset()
    process = start_command("jobs", "--watch", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), said) == (1, b"")


@pytest.mark.parametrize("words", [("help",), ("jobs",), ("token", "list"), ("showmigrations",), ("jobs", "--help")])
@pytest.mark.django_db(transaction=True)
def test_a_reader_that_leaves_before_the_answer_sees_no_traceback(make_dataset, words):
    make_dataset()
    process = start_command(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert said == b""
    process.wait(30)


@pytest.mark.parametrize("words", [("prune", "--all"), ("jobs",), ("token", "list")])
@pytest.mark.django_db(transaction=True)
def test_tables_of_an_older_version_are_told_with_what_to_do(words, older_tables):
    process = start_command(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "The database has not the tables of this version (column" in said
    assert "manage.py migrate" in said


RENAMED = {"models_app_trainedmodel": "learning_rate", "datasets_dataset": "owner", "accounts_accesstoken": "name"}


@pytest.fixture
def older_tables(make_dataset, make_model):
    """Tables of which a column has another name than this version knows."""
    make_model(make_dataset())
    with connection.cursor() as cursor:
        for table, column in RENAMED.items():
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO former")
    yield
    with connection.cursor() as cursor:
        for table, column in RENAMED.items():
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN former TO {column}")
