"""Try the images and compose files with a real Docker daemon: `python -m tests.docker`, or `make docker-check`.

Starts a private daemon, builds the images, and takes a stack through an operator's life: first start, the demo's
requests, an upgrade, two workers, a killed and a cut-off host, two web hosts behind nginx, backup and restore. Needs
root and, on Debian, docker.io, docker-compose, iptables and debootstrap. Takes half an hour on two cores and 6 GB of
disk (15 GB with the image for GPUs). Exit status: 0 if all passed, 1 if something failed, 2 if this machine can't.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.docker.commands import CannotCheck, CheckFailed, say
from tests.docker.daemon import private_daemon, remove, why_not
from tests.docker.operator_life import OperatorLife
from tools.prove_images import LARGE, CannotProve


def main() -> int:
    options = parse_options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="digits-docker-", dir=LARGE))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if reason := why_not():
            raise CannotCheck(reason)
        with private_daemon(folder) as docker:
            OperatorLife(docker, folder, options).run()
    except (CannotCheck, CannotProve) as reason:
        print(f"Nothing was checked: {reason}.", file=sys.stderr)
        return 2
    except (CheckFailed, subprocess.SubprocessError) as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        if not options.folder:
            remove(folder)
        else:
            shutil.rmtree(folder / "work", ignore_errors=True)
    say("everything passed")
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pull", action="store_true", help="ask for the public images before making stand-ins")
    parser.add_argument(
        "--gpu", action="store_true", help="also build worker-gpu and worker-torch, without running them"
    )
    parser.add_argument("--before", default="", help="the git revision to upgrade from [no upgrade]")
    parser.add_argument("--folder", type=Path, help="where the daemon's data go, and stay for the next time")
    parser.add_argument("--port", type=int, default=8100, help="of the web server; the proxy gets the next [8100]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
