"""Behaviour of all commands: finding the server, closed pipes, older tables, and a watched list."""

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


def test_a_command_adopts_the_settings_of_the_running_server(home, monkeypatch):
    monkeypatch.setenv("DIGITS_HOME", str(home))
    monkeypatch.delenv("DIGITS_DATA_ROOTS")
    monkeypatch.setenv("DIGITS_AUTH", "required")  # a variable that is set here stays
    environment = {"DIGITS_AUTH": "open", "DIGITS_DATA_ROOTS": "/images"}
    (home / "stack.json").write_text(json.dumps({"pid": 1, "url": "", "environment": environment}))
    adopt_running()
    assert "DIGITS_DATA_ROOTS" not in os.environ  # the lock is free: a killed server left the file
    with processes.exclusive(home / "lock"):
        adopt_running()
    assert (os.environ["DIGITS_DATA_ROOTS"], os.environ["DIGITS_AUTH"]) == ("/images", "required")


def test_the_settings_for_commands_are_those_of_the_server(monkeypatch):
    monkeypatch.setenv("DIGITS_DATA_ROOTS", "/images")
    monkeypatch.delenv("DIGITS_AUTH", raising=False)
    settings = settings_for_commands()
    assert (settings["DIGITS_AUTH"], settings["DIGITS_DATA_ROOTS"]) == ("open", "/images")


@pytest.mark.django_db
def test_a_command_starts_the_embedded_database_of_a_stopped_server(home):
    with Services(home, redis=False, durable=False):
        pass
    process = start_command("jobs", stderr=subprocess.PIPE, text=True, variables=ALONE | {"DIGITS_HOME": str(home)})
    error = process.communicate()[1]
    assert process.returncode == 1
    assert "lacks tables of this version" in error  # so the command reached the database
    assert "manage.py migrate" in error


@pytest.mark.django_db
def test_a_command_without_a_database_says_how_to_start_one(home):
    process = start_command("jobs", stderr=subprocess.PIPE, text=True, variables=ALONE | {"DIGITS_HOME": str(home)})
    error = process.communicate()[1]
    assert process.returncode == 1
    assert "make run" in error
    assert "Traceback" not in error


@pytest.mark.django_db(transaction=True)
def test_a_watched_list_is_redrawn_until_ctrl_c(make_dataset):
    make_dataset(name="watched")
    reader, terminal = pty.openpty()
    process = start_command("jobs", "--watch", "0.1", stdout=terminal, stderr=subprocess.PIPE)
    os.close(terminal)
    output = bytearray()
    wait_until(lambda: output.extend(os.read(reader, 4096)) or output.count(b"\033[H\033[2J") >= 2)
    process.send_signal(signal.SIGINT)
    process.communicate()
    os.close(reader)
    assert process.returncode == 130
    assert b"watched" in output


@pytest.mark.django_db(transaction=True)
def test_a_watched_list_whose_pipe_closes_prints_no_traceback(make_dataset):
    make_dataset()
    process = start_command("jobs", "--watch", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), error) == (1, b"")


@pytest.mark.parametrize("words", [("help",), ("jobs",), ("showmigrations",), ("jobs", "--help")])
@pytest.mark.django_db(transaction=True)
def test_a_command_whose_pipe_is_closed_prints_no_traceback(make_dataset, words):
    make_dataset()
    process = start_command(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert error == b""
    process.wait(30)


@pytest.mark.parametrize("words", [("prune", "--all"), ("jobs",), ("token", "list")])
@pytest.mark.django_db(transaction=True)
def test_a_command_on_tables_of_an_older_version_says_to_migrate(words, older_tables):
    process = start_command(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    error = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "Traceback" not in error
    assert "The database lacks tables of this version (column" in error
    assert "manage.py migrate" in error


RENAMED = {"models_app_trainedmodel": "learning_rate", "datasets_dataset": "owner", "accounts_accesstoken": "name"}


@pytest.fixture
def older_tables(make_dataset, make_model):
    """Tables with a column that this version does not know by its name."""
    make_model(make_dataset())
    with connection.cursor() as cursor:
        for table, column in RENAMED.items():
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO former")
    yield
    with connection.cursor() as cursor:
        for table, column in RENAMED.items():
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN former TO {column}")
