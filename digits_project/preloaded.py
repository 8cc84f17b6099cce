"""`python -m digits_project.preloaded FD`: the fork server of `make run`.

It imports the server's code; the web server, the workers, the reaper and the migrations are its forks (see
stack.fork_server). It opens no connection and starts no thread, because forks would share them.
"""

import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

import django
import psycopg2
from django.conf import settings
from django.core.management import get_commands, load_command_class
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
    "_strptime",
    # What builds and requests with an image would import at their first image.
    "numpy.random",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin",
)


def manage() -> None:
    """Run the command that sys.argv names, as manage.py does, without another setup of Django."""
    name = sys.argv[1]
    load_command_class(get_commands()[name], name).run_from_argv(sys.argv)


COMMANDS: dict[str, Callable[[], None]] = {"gunicorn": wsgiapp.run, "manage.py": manage}


def load() -> None:
    """Import the code, and make what forks share of it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
    django.setup()
    for name in MODULES:
        import_module(name)
    for name in settings.MIDDLEWARE:
        import_string(name)
    get_commands()  # which keeps them
    reverse("login")  # which makes the table of all routes, as the first request would
    with suppress(psycopg2.Error):  # MD5 can be forbidden
        encrypt_password(
            "", "", algorithm="md5"
        )  # starts OpenSSL in libpq, which each fork would do in 2 MiB of its own
    gc.collect()
    gc.freeze()  # otherwise each collection writes to the memory of all objects, and the forks share no page any more


def main() -> None:
    load()
    sys.argv = fork_server.serve(int(sys.argv[1]))
    COMMANDS[sys.argv[0]]()


if __name__ == "__main__":  # spawned pools import this file again
    main()
