"""`make demo`: runs the walkthrough and prints a summary."""

import argparse
import os
import sys
import time
from pathlib import Path

from digits_project.common.terminal import Screen
from digits_project.demo.client import DemoFailed, Request
from digits_project.demo.walkthrough import Demo, percent, shown
from digits_project.stack.home import home_from_environment
from digits_project.stack.supervisor import AlreadyRunning, Stack
from digits_project.stack.web_server import StackError, port_from_environment

# The demo runs the server with its defaults, regardless of the variables in this shell.
SETTINGS = {
    "DIGITS_AUTH": "open",
    "DIGITS_WIRE_FORMAT": "documented",
    "DIGITS_DATA_ROOTS": "/",
    "ALLOWED_HOSTS": "127.0.0.1",
    "DIGITS_URL_PREFIX": "",
}


def run(screen: Screen) -> Demo:
    """Run the whole demo. When this returns or raises, all processes that it started have ended."""
    began = time.monotonic()
    screen.heading("Start PostgreSQL, Redis, the web server and the workers")
    with Stack(home_from_environment(), port_from_environment(), screen.line) as stack:
        demo = Demo(stack, screen)
        screen.line(f"{stack.url:<29} the data are in {shown(stack.home)}")
        screen.line(f"{stack.url + 'admin/':<29} user admin, {password(stack)}")
        demo.seconds["start"] = time.monotonic() - began
        demo.write_images()
        demo.build_dataset()
        demo.train_model()
        demo.classify()
        stopping = time.monotonic()
    demo.seconds["stop"] = time.monotonic() - stopping
    return demo


def summary(demo: Demo, screen: Screen) -> None:
    stack, seconds = demo.stack, sum(demo.seconds.values())
    screen.heading(f"Done in {seconds:.0f} s: {percent(demo.accuracy)} of the validation images classified right")
    screen.line(", ".join(f"{name} {duration:.1f} s" for name, duration in demo.seconds.items()))
    screen.line("Every process has ended. These files remain:")
    screen.line(f"dataset   {shown(Path(demo.dataset['directory']))}")
    screen.line(f"model     {shown(Path(demo.model['directory']))}, a model.onnx for each epoch")
    screen.line(f"logs      {shown(stack.logs)}, one per process; train.log and build.log with the jobs")
    screen.heading("Next: the same server with these jobs, until Ctrl-C")
    screen.command(make_run())
    screen.command(Request(f"{stack.url}models/{demo.model['id']}.json").curl())
    screen.line(f"{stack.url}admin/   user admin, {'with the password above' if stack.admin_password else SHOWN_FIRST}")
    screen.line("README.md has more to try")


SHOWN_FIRST = "with the password that the first start showed"


def password(stack: Stack) -> str:
    made = stack.admin_password
    return f"password {made} (never shown again)" if made else SHOWN_FIRST


def make_run() -> str:
    """The command line of `make run` with the demo's variables, so that it finds the same jobs."""
    given = [f"{name}={os.environ[name]} " for name in ("DIGITS_HOME", "DIGITS_PORT") if os.environ.get(name)]
    return "".join(given) + "make run"


def main(arguments: list[str] | None = None) -> int:
    """Run the demo. Its only option is --help. Returns the exit status: 0 if it
    succeeded, 1 with a message if not, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="make demo", description="From nothing to a trained classifier.")
    parser.parse_args(arguments)
    screen = Screen(sys.stdout)
    os.environ.update(SETTINGS)
    try:
        demo = run(screen)
    except KeyboardInterrupt:
        screen.line("Stopped.")
        return 130
    except BrokenPipeError:  # as with `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except AlreadyRunning as error:
        return _failed(
            f"{error}\nThe demo starts a server of its own: stop that one first, or set DIGITS_HOME to another folder."
        )
    except (StackError, DemoFailed) as error:
        return _failed(str(error))
    summary(demo, screen)
    return 0


def _failed(text: str) -> int:
    sys.stdout.flush()
    print(f"\n{text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
