#!/usr/bin/env python
"""The server's commands; `python manage.py help` lists them. `python -m digits_project` has shorter names for them."""

import sys

from digits_project.command_line import manage


def main() -> None:
    manage(sys.argv)


if __name__ == "__main__":  # spawned pools import this file again and must not become a second command
    main()
