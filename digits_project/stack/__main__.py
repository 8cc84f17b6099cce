"""`python -m digits_project.stack`, installed as `digits-server`: the whole server, until a signal."""

import argparse
import contextlib
import os
import sys
import time

from digits_project.stack.home import home_from_environment
from digits_project.stack.supervisor import TEND_EVERY, Stack
from digits_project.stack.web_server import StackError, port_from_environment

HELP = """
The environment sets it up:
  DIGITS_HOME   folder of the database, the jobs and the logs (now {home})
  DIGITS_PORT   port on 127.0.0.1 (5000)
  DIGITS_AUTH, DIGITS_WIRE_FORMAT, DIGITS_DATA_ROOTS and others: README.md lists them

examples:
  %(prog)s
  DIGITS_PORT=8080 DIGITS_HOME=/srv/digits %(prog)s
"""


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal. Returns 0 then, 1 with a message if the server can't start. Its only option is --help."""
    parser = argparse.ArgumentParser(
        prog="digits-server",
        description="Starts PostgreSQL, Redis or Valkey, the web server and the workers; Ctrl-C stops them.",
        epilog=HELP.format(home=str(home_from_environment()).replace("%", "%%")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    try:
        with Stack(home_from_environment(), port_from_environment(), say) as stack:
            say(banner(stack))
            while True:
                stack.tend()
                time.sleep(TEND_EVERY)
    except KeyboardInterrupt:
        say("Stopped.")
        return 0
    except StackError as error:
        print(error, file=sys.stderr)
        return 1


def banner(stack: Stack) -> str:
    admin = f"user admin, password {stack.admin_password} (shown only now)" if stack.admin_password else "user admin"
    return f"""
DIGITS is running
  {stack.url:<36} the API and the pages
  {stack.url + "admin/":<36} {admin}
  {stack.logs}{os.sep:<4} one log per process
DIGITS_WIRE_FORMAT=digits make run: responds in the format that clients of NVIDIA DIGITS parse
Ctrl-C stops it; what it stored stays in {stack.home}
"""


def say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal or the pipe is gone; the server runs on
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
