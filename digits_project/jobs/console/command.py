"""The base class of the management commands: exit statuses, --json, help with an example, error messages."""

import json
import logging
import os
import sys
import textwrap
from argparse import SUPPRESS, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast, overload

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter

from digits_project.api.error_statuses import COMMAND_ERRORS, Exit, exit_text, listed_status
from digits_project.api.exception_handler import messages_by_field
from digits_project.api.wire_format import errors
from digits_project.command_names import PROGRAM, in_words_of, short_name
from digits_project.common.terminal import Screen
from digits_project.jobs.console.embedded_database import has_database, run_again_with_database
from digits_project.jobs.models import J, Job, find_job

EXIT_STATUS = "exit status: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted"
# Options that Django adds to every command; hidden, because users of these commands don't need them.
DJANGOS = {"version", "settings", "pythonpath", "traceback", "no_color", "force_color"}


class Invalid(CommandError):
    """Errors of a form, {field: messages}; `options` maps fields to the names of the command's options."""

    def __init__(self, by_field: dict, options: dict[str, str]):
        self.by_field = by_field
        lines = [
            f"{options.get(field, field)}: {message}" if field else message
            for field, messages in messages_by_field(by_field).items()
            for message in messages
        ]
        super().__init__("\n".join(lines), returncode=Exit.BAD_INPUT)


class ConsoleCommand(BaseCommand):
    """A command that writes its result to standard output, and progress and messages to standard error.

    Subclasses set `help`, and `example`: the arguments of an example call.
    """

    example: str
    needs_database = True
    requires_system_checks = ()
    shown_name = ""  # "digits train" if that is how it was called; "": by manage.py, or by code

    def create_parser(self, prog_name, subcommand, **kwargs):
        program, name = Path(prog_name).name, subcommand
        if program == PROGRAM:
            name = short_name(subcommand)
            self.shown_name = f"{PROGRAM} {name}"
        shown = self.shown_name or f"manage.py {subcommand}"
        lines = "\n".join(f"  {shown} {line}".rstrip() for line in self.example.split("\n"))
        epilog = f"example:\n{lines}\n\n{EXIT_STATUS}"
        parser = super().create_parser(prog_name, name, formatter_class=_Formatter, epilog=epilog, **kwargs)
        parser.description = in_words_of(program, parser.description or "")
        for action in parser._actions:
            if action.dest in DJANGOS:
                action.help = SUPPRESS
            elif action.dest == "verbosity":
                action.help = "2: the server's log too"
            elif action.help:
                action.help = in_words_of(program, action.help)
        if self.shown_name:
            parser.usage = _short_usage(parser)
        return parser

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print the result as JSON to standard output")

    def execute(self, *args, **options):
        try:
            return self._execute(*args, **options)
        except CommandError as error:
            if not self.shown_name:
                raise
            self.stderr.write(f"{self.shown_name}: {in_words_of(PROGRAM, str(error))}")
            sys.exit(error.returncode)

    def _execute(self, *args, **options):
        self.screen = Screen(options.get("stderr") or sys.stderr)
        self.as_json = options.get("json", False)
        if self.needs_database and not has_database() and (settings.DIGITS_HOME / "embedded" / "postgres").exists():
            sys.exit(run_again_with_database())  # the server is stopped; its database is here
        with _quiet_log(options["verbosity"]):
            try:
                return super().execute(*args, **options)
            except Invalid as wrong:
                if self.as_json:
                    self.print_json({"errors": errors(messages_by_field(wrong.by_field))})
                raise
            except BrokenPipeError:  # the reader closed the pipe, as in `| head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(int(Exit.FAILED))
            except COMMAND_ERRORS as error:
                raise CommandError(
                    exit_text(error), returncode=int(listed_status(error).exit or Exit.FAILED)
                ) from error

    def print_json(self, value) -> None:
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False))

    def print_table(self, rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> None:
        """Print rows of texts on standard output, in columns."""
        Screen(cast(TextIO, self.stdout)).table(rows, header)

    def end(self, status: Exit) -> None:
        """Exit with this status."""
        if status != Exit.DONE:
            sys.exit(int(status))


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the line breaks of the example and wraps the description."""

    def _fill_text(self, text, width, indent):
        return super()._fill_text(text if "\n" in text else textwrap.fill(text, width), width, indent)


def _short_usage(parser) -> str:
    """The usage with the arguments, but without the options, of which some commands have sixty."""
    formatter = parser._get_formatter()
    formatter.add_usage(None, [action for action in parser._actions if not action.option_strings], [], prefix="")
    return f"{formatter.format_help().strip()} [options]".replace("%", "%%")


def wrong(text: str) -> CommandError:
    """The exception for a wrong option or wrong input."""
    return CommandError(text, returncode=Exit.BAD_INPUT)


@overload
def job_of(job_id: str, job_class: type[J]) -> J: ...
@overload
def job_of(job_id: str, job_class: None = None) -> Job: ...
def job_of(job_id: str, job_class: type[Job] | None = None) -> Job:
    """The job with this id. Raises CommandError."""
    job = find_job(job_id, job_class)
    if job is None:
        what = job_class._meta.verbose_name if job_class else "job"
        raise wrong(f"There is no {what} {job_id}; manage.py jobs lists them.")
    return job


@contextmanager
def _quiet_log(verbosity: int) -> Iterator[None]:
    """Inside the block the log shows only warnings and errors, unless verbosity is 2."""
    root = logging.getLogger()
    before = root.level
    if verbosity < 2:
        root.setLevel(max(before, logging.ERROR))
    try:
        yield
    finally:
        root.setLevel(before)


def positive(text: str) -> int:
    """Parse an option that is a whole number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
