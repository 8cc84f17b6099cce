"""docs/commands.md and each --help: every example parses, and no command is missing."""

import re
import shlex

import pytest
from django.core.management import get_commands, load_command_class

from digits_project.command_names import SHORT_NAMES
from digits_project.jobs.console.command import EXIT_STATUS, ConsoleCommand, Exit
from tests.support.server import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
LINES = [
    line.rpartition("| ")[2].removeprefix("digits ")
    for block in BLOCKS
    for line in block.splitlines()
    if not line.startswith("alias ")
]


def named(line):
    """(the management command, its arguments) of an example."""
    name, *arguments = shlex.split(line)
    return SHORT_NAMES[name].command, arguments


def command(name):
    return load_command_class(get_commands()[name], name)


COMMANDS = sorted(
    name
    for name, app in get_commands().items()
    if app in ("digits_project.jobs", "digits_project.monitoring", "datasets", "models_app", "inference")
    and isinstance(command(name), ConsoleCommand)
)


@pytest.mark.parametrize("line", LINES)
def test_each_example_of_the_page_parses(line):
    name, arguments = named(line)
    command(name).create_parser("digits", name).parse_args(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_of_each_command_parse(name):
    parser = command(name).create_parser("manage.py", name)
    text = parser.format_help()
    shown = re.findall(rf"^  manage\.py {name}\b ?(.*)$", text.partition("example:")[2], re.M)
    assert shown
    for arguments in shown:
        parser.parse_args(shlex.split(re.sub(r"\$\(.*?\)", "x", arguments)))
    assert EXIT_STATUS in text
    assert "--json" in text


def test_each_command_is_on_the_page():
    assert len(COMMANDS) >= 15
    assert {named(line)[0] for line in LINES} == {*COMMANDS, "token", "changepassword"}


def test_the_page_and_the_help_list_the_same_exit_statuses():
    table = PAGE.partition("| exit status | |")[2].partition("##")[0]
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", table, re.M)] == sorted(Exit)
    assert [int(number) for number in re.findall(r"\d+", EXIT_STATUS)] == sorted(Exit)
