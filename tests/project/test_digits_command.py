"""The program `digits`: its help, its names for the management commands, and its errors."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest
from django.core.management import get_commands, load_command_class

from digits_project import command_line
from digits_project.command_names import GROUPS, SHORT_NAMES, in_words_of
from digits_project.jobs.console.command import ConsoleCommand
from tests.support.server import ROOT

OWN = ("digits_project", "datasets", "models_app", "inference")
MANAGEMENT = [short for short in SHORT_NAMES.values() if ":" not in short.command]


def digits(monkeypatch, *words):
    """Run the program in this process. Returns its exit status, 0 if it returns.

    Django is set up already. Once more, its log handlers would keep the streams of this test, which end with it.
    """
    monkeypatch.setattr("django.utils.log.configure_logging", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["digits", *words])
    try:
        command_line.main()
    except SystemExit as ended:
        return ended.code
    return 0


def test_every_command_of_the_product_has_a_short_name():
    ours = {name for name, app in get_commands().items() if str(app).startswith(OWN)}
    assert ours - {short.command for short in MANAGEMENT} == set()
    assert len(SHORT_NAMES) == sum(len(group) for group in GROUPS.values())


@pytest.mark.parametrize("short", MANAGEMENT, ids=lambda short: short.name)
def test_each_short_name_is_that_of_a_command_whose_example_parses(short):
    command = load_command_class(get_commands()[short.command], short.command)
    command.create_parser("digits", short.command).parse_args(shlex.split(short.example))


@pytest.mark.parametrize("name", ["serve", "demo"])
def test_a_program_that_is_no_management_command_is_a_function(name):
    module, _, function = SHORT_NAMES[name].command.partition(":")
    assert find_spec(module)
    assert callable(getattr(import_module(module), function))


def test_the_help_lists_every_command_with_a_summary(monkeypatch, capsys):
    assert digits(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    lines = re.findall(r"^  (\w+) +(.*)$", text.partition("examples:")[0], re.M)
    assert lines == [(short.name, short.summary) for short in SHORT_NAMES.values()]
    assert [f"{group}:" in text for group in GROUPS] == [True] * len(GROUPS)
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_of_a_command_has_its_short_name_everywhere():
    command = load_command_class(get_commands()["train_model"], "train_model")
    text = command.create_parser("digits", "train_model").format_help()
    assert text.startswith("usage: digits train NAME [options]")
    assert "  digits train lenet --dataset" in text
    assert "manage.py" not in text


def test_a_misspelt_command_is_named_with_what_could_be_meant(monkeypatch, capsys):
    assert digits(monkeypatch, "trian", "lenet") == 2
    assert capsys.readouterr().err == (
        "digits: there is no command trian. Did you mean train? digits --help lists the commands.\n"
    )


@pytest.mark.django_db
def test_an_error_of_a_command_is_one_line_under_its_short_name(monkeypatch, capsys):
    assert digits(monkeypatch, "abort", "20260101-000000-0000") == 2
    assert capsys.readouterr().err == ("digits abort: There is no job 20260101-000000-0000; digits jobs lists them.\n")


@pytest.mark.django_db
def test_the_names_of_manage_py_are_taken_too(monkeypatch, capsys):
    assert digits(monkeypatch, "delete_job") == 2
    assert "usage: digits delete JOB_ID [JOB_ID ...] [options]" in capsys.readouterr().err


def test_texts_for_manage_py_stay_as_they_are_there():
    assert in_words_of("manage.py", "see manage.py train_model") == "see manage.py train_model"
    assert in_words_of("digits", "manage.py delete_job, manage.py check") == "digits delete, digits check"


@pytest.mark.slow
def test_the_module_is_the_program_in_a_clone():
    run = subprocess.run(
        [sys.executable, "-m", "digits_project", "help", "jobs"], cwd=ROOT, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: digits jobs [options]")


def test_each_console_command_says_how_it_was_called():
    command = load_command_class(get_commands()["jobs"], "jobs")
    assert isinstance(command, ConsoleCommand)
    command.create_parser("digits", "jobs")
    assert command.shown_name == "digits jobs"
