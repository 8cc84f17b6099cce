"""The programs `manage.py` and `digits`. Each runs management commands; `digits` gives them short names, in groups."""

import os
import sys
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from importlib import import_module

import django
from django.core.management import execute_from_command_line, get_commands

from digits_project import __version__
from digits_project.command_names import GROUPS, PROGRAM, SHORT_NAMES
from digits_project.stack.home import NotOurs, adopt_running, keep_others_from_writing

WRONG_USAGE = 2  # the exit status
HELP = ("help", "--help", "-h")


def manage(words: Sequence[str]) -> None:
    """Run a management command; `words` begin with the name of the program."""
    _prepare()
    _ended_by_its_reader(lambda: execute_from_command_line(list(words)))


def main() -> None:
    """Run `digits`: the command that its first argument names."""
    words = sys.argv[1:]
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words or words[0] in HELP:
        return _ended_by_its_reader(lambda: print(overview()))
    if words[0] == "--version":
        return print(f"{PROGRAM} {__version__}")
    name, arguments = words[0], words[1:]
    short = SHORT_NAMES.get(name)
    if short and ":" in short.command:
        sys.exit(_program(short.command)(arguments))
    if not short and name not in (others := _other_commands()):
        sys.exit(_unknown(name, others))
    return manage([PROGRAM, short.command if short else name, *arguments])


def overview() -> str:
    """The text of `digits --help`."""
    width = max(map(len, SHORT_NAMES)) + 2
    lines = [f"usage: {PROGRAM} COMMAND [options]", "", "Turns folders of images into trained networks."]
    for group, names in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {short.name:<{width}}{short.summary}" for short in names]
    lines += ["", "examples:"]
    examples = [SHORT_NAMES[name] for name in ("serve", "build", "train", "jobs")]
    lines += [f"  {PROGRAM} {short.name} {short.example}".rstrip() for short in examples]
    return "\n".join([*lines, "", f"{PROGRAM} COMMAND --help describes a command, with examples."])


def _prepare() -> None:
    """Set up this process as the running server is set up."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
    keep_others_from_writing()
    try:
        adopt_running()
    except NotOurs as strange:
        sys.exit(str(strange))


def _other_commands() -> set[str]:
    """The management commands, whose own names `digits` takes too."""
    _prepare()
    django.setup()  # without it Django knows its own commands only
    return set(get_commands())


def _program(target: str) -> Callable[[list[str]], int]:
    """The main function of a program that is no management command. It loads what only that program needs."""
    module, _, function = target.partition(":")
    return getattr(import_module(module), function)


def _unknown(name: str, others: Collection[str]) -> int:
    """Say that there is no such command, and which could be meant. Returns the exit status."""
    close = get_close_matches(name, SHORT_NAMES) or get_close_matches(name, others)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    print(f"{PROGRAM}: there is no command {name}.{meant} {PROGRAM} --help lists the commands.", file=sys.stderr)
    return WRONG_USAGE


def _ended_by_its_reader(write: Callable[[], object]) -> None:
    """Call a function that prints; if the reader closes the pipe, as `head` does, exit without a traceback."""
    try:
        try:
            write()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
