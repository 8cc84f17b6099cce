#!/usr/bin/env python
"""The server's commands; `python manage.py help` lists them."""

import os
import sys

from django.core.management import execute_from_command_line

from digits_project.stack.home import NotOurs, adopt_running, keep_others_from_writing


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
    keep_others_from_writing()
    try:
        adopt_running()
    except NotOurs as strange:
        sys.exit(str(strange))
    try:
        try:
            execute_from_command_line(sys.argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":  # spawned pools import this file again and must not become a second command
    main()
