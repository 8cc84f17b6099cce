#!/usr/bin/env python
"""The server's commands; `python manage.py help` lists them."""

import os
import sys

from django.core.management import execute_from_command_line

from digits_project.home import NotOurs, adopt_running, keep_others_from_writing

if __name__ == "__main__":  # spawned pools import this file again and must not become a second command
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
    keep_others_from_writing()
    try:
        adopt_running()
    except NotOurs as strange:
        sys.exit(str(strange))
    execute_from_command_line(sys.argv)
