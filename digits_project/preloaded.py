"""`python -m digits_project.preloaded FD`: the fork server of `make run`.

It imports the server's code; the web server, the workers, the reaper and the migrations are its forks (see
stack.fork_server). It opens no connection and starts no thread, because forks would share them.
"""

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module

import django
import psycopg2
from django.conf import settings
from django.core.management import CommandError, get_commands, load_command_class
from django.urls import reverse
from django.utils.module_loading import import_string
from gunicorn.app import wsgiapp
from psycopg2.extensions import encrypt_password

from digits_project.stack import fork_server

# What the forks would import by themselves. Not digits_project.wsgi, which prepares the process that imports it.
MODULES = (
    "digits_project.urls",
    "digits_project.server.admission",
    "digits_project.server.gunicorn_worker",
    "digits_project.server.url_prefix",
    "digits_project.jobs.management.commands.worker",
    "digits_project.jobs.management.commands.reaper",
    "datasets.tasks",
    "models_app.tasks",
    "inference.tasks",
    "django.core.management.commands.migrate",
    "django.core.wsgi",
    "gunicorn.arbiter",
    "gunicorn.glogging",
    "multiprocessing.popen_fork",
    "_strptime",
    # What builds and requests with an image would import at their first image.
    "numpy.random",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin",
)


class LeaveOut:
    """An import hook for which some optional modules are not installed."""

    def __init__(self, *names: str):
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(name)


class ParsedOptions:
    """Stands in for the parser of a command whose options are parsed already."""

    def __init__(self, options: Namespace):
        self._options = options

    def __call__(self, *names: str) -> "ParsedOptions":
        return self

    def parse_args(self, words: list[str]) -> Namespace:
        return self._options


def manage(words: list[str]) -> Callable[[], None]:
    """A function that runs a command as manage.py does, without another setup of Django.

    The fork server parses the options: a parser writes to a megabyte of memory, of which each fork would get a copy.
    """
    command = load_command_class(get_commands()[words[1]], words[1])
    try:
        parsed = ParsedOptions(command.create_parser(words[0], words[1]).parse_args(words[2:]))
    except (CommandError, SystemExit):  # the fork reports it
        return partial(command.run_from_argv, words)
    vars(command)["create_parser"] = parsed
    return partial(command.run_from_argv, words)


COMMANDS: dict[str, Callable[[list[str]], Callable[[], None]]] = {
    "gunicorn": lambda words: wsgiapp.run,
    "manage.py": manage,
}


def prepare(words: list[str]) -> Callable[[], None]:
    """A function that runs this command in a fork."""
    run = COMMANDS[words[0]](words)

    def run_in_fork() -> None:
        sys.argv = words
        run()

    return run_in_fork


def load() -> None:
    """Import the code, and do once what each fork would otherwise do in memory of its own."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
    unused = LeaveOut("requests")  # DRF would import it, if it is there, for its tests only: 4 MiB
    sys.meta_path.insert(0, unused)
    django.setup()
    for name in MODULES:
        import_module(name)
    sys.meta_path.remove(unused)
    for name in settings.MIDDLEWARE:
        import_string(name)
    get_commands()  # which keeps them
    reverse("login")  # which makes the table of all routes, as the first request would
    with suppress(psycopg2.Error):  # MD5 can be forbidden
        # This starts OpenSSL in libpq, which each fork would do in 2 MiB of its own.
        encrypt_password("", "", algorithm="md5")
    gc.collect()
    gc.freeze()  # otherwise each collection writes to the memory of all objects, and the forks share no page any more


def main() -> None:
    load()
    run = fork_server.serve(int(sys.argv[1]), prepare)
    run()


if __name__ == "__main__":  # spawned pools import this file again
    main()
