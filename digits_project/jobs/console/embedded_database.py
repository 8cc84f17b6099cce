"""Runs a command that needs only the database, with an embedded PostgreSQL of its own if no server runs."""

import contextlib
import os
import subprocess
import sys

from django.conf import settings
from django.core.management.base import CommandError

from digits_project.environment import service_url
from digits_project.stack.embedded import ServiceError, Services


def has_database() -> bool:
    """Whether DATABASE_URL names a database, or an embedded one runs."""
    return bool(service_url("DATABASE_URL", settings.DIGITS_HOME))


def run_again_with_database() -> int:
    """Start the embedded PostgreSQL of this home and run this command again with it. Returns the exit status."""
    try:
        with Services(settings.DIGITS_HOME, redis=False) as services:
            process = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=os.environ | services.urls)
            while process.poll() is None:
                with contextlib.suppress(KeyboardInterrupt):  # the child got the same Ctrl-C and ends by itself
                    process.wait()
            return process.returncode
    except ServiceError as error:
        raise CommandError(str(error)) from error
