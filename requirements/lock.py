"""The locks `requirements/*.txt`: `make lock` writes them from `*.in`, `make lint` checks them. Both need the network.

A lock lists the packages of its `.in` file with all their dependencies, with versions and hashes for each supported
Python, so it is installed with `--no-deps`. This also lets MXNet run with NumPy 2 (overrides.txt).

`python requirements/lock.py` writes the locks and keeps their versions; `--upgrade` takes the newest ones that the
`.in` files allow. `--check` verifies, without installing, that every package has a wheel for each processor and
Python; it does nothing if the same locks have passed before.
"""

import argparse
import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
UV = Path(sysconfig.get_path("scripts")) / "uv"
# The others take the versions of the first.
LOCKS = ("dev", "base", "worker", "gpu", "torch", "torch-dev", "audit", "anchors")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PROCESSORS = {
    "x86_64": ("dev", "gpu", "torch-dev", "audit", "anchors"),
    "aarch64": ("dev", "torch-dev", "audit", "anchors"),
}  # MXNet for GPUs is for x86-64 only
GLIBC = "manylinux_2_28"
CHECKED = Path(sys.prefix) / "wheels.sha256"
COMPILE = (UV, "pip", "compile", "--quiet", "--no-header", "--only-binary", ":all:")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only check that every package has its wheels")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where the .in files allow them")
    options = parser.parse_args()
    if options.check:
        return check()
    for name in LOCKS:
        write(name, upgrade=options.upgrade)
    return 0


def write(name: str, *, upgrade: bool) -> None:
    """Compile NAME.in to NAME.txt, for all Pythons and processors at once."""
    same = () if name == LOCKS[0] else ("--constraint", f"{LOCKS[0]}.txt")
    options = ("--universal", "--python-version", PYTHONS[0], "--generate-hashes", "--override", "overrides.txt")
    more = ("--upgrade",) if upgrade else ()
    subprocess.run(
        (*COMPILE, *options, *more, *same, f"{name}.in", "--output-file", f"{name}.txt"), cwd=HERE, check=True
    )


def check() -> int:
    """Return exit status 0 if every package of every lock has a wheel for each processor and Python, else 1."""
    locks = "".join((HERE / f"{name}.txt").read_text() for name in LOCKS)
    digest = hashlib.sha256(locks.encode()).hexdigest()
    if CHECKED.exists() and CHECKED.read_text() == digest:
        return 0
    targets = [(name, machine, python) for machine in PROCESSORS for name in PROCESSORS[machine] for python in PYTHONS]
    found = [has_wheels(*target) for target in targets]  # all are checked, so that all errors are printed
    if not all(found):
        return 1
    CHECKED.write_text(digest)
    print(f"Every package has wheels for {' and '.join(PROCESSORS)}, Python {', '.join(PYTHONS)}, {GLIBC}")
    return 0


def has_wheels(name: str, processor: str, python: str) -> bool:
    """Whether NAME.txt resolves for this target.

    uv's cache is tried first: the index gives the same response for every target.
    """
    target = ("--python-platform", f"{processor}-{GLIBC}", "--python-version", python)
    for offline in (("--offline",), ()):
        command = (*COMPILE, "--no-deps", *target, *offline, f"{name}.txt")
        run = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
        if run.returncode == 0:
            return True
    print(f"{name}.txt on {processor}, Python {python}:\n{run.stderr.strip()}", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(main())
