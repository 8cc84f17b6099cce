"""Compare the type errors of the product with the accepted ones: make types

Runs mypy, as pyproject.toml configures it, and counts the errors of each file. tools/type_errors.txt lists the accepted
numbers. A file that it does not list must have no error; the engines are never listed. The numbers can only fall: more
errors fail the check, and fewer fail it too, until `python tools/check_types.py --write` has lowered the number.
Moved lines do not matter. Exit status: 0 if the numbers are equal, 1 if not, 2 if mypy failed.

On Python 3.10 it checks nothing: the plugin for Django has no version for 3.10.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = ROOT / "tools" / "type_errors.txt"
ENGINES = (
    "datasets/imagedb/",
    "models_app/networks/",
    "models_app/training/",
    "inference/engine/",
    "digits_project/common/",
)
ERROR = re.compile(r"^(?P<file>[^:\n]+\.py):\d+: error: ", re.M)
MYPY = (sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", "--no-pretty", "--no-color-output")


class MypyFailure(Exception):
    """mypy stopped before it had checked all files; the message is its output."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="lower the accepted numbers to those found")
    options = parser.parse_args()
    if sys.version_info < (3, 11):
        print("Types are checked on Python 3.11 and later")
        return 0
    try:
        output = run_mypy()
    except MypyFailure as failure:
        print(f"mypy failed:\n{failure}", file=sys.stderr)
        return 2
    accepted = read_counts(ACCEPTED.read_text())
    if options.write:
        accepted = lowered(accepted, count_errors(output))
        ACCEPTED.write_text("".join(f"{number} {file}\n" for file, number in sorted(accepted.items())))
    problems = compare(accepted, output)
    print("\n".join(problems) if problems else f"Types: no error but the {sum(accepted.values())} accepted ones")
    return 1 if problems else 0


def run_mypy() -> str:
    """The errors that mypy finds, one a line."""
    run = subprocess.run(MYPY, cwd=ROOT, capture_output=True, text=True)
    is_finished = run.returncode == 0 or (run.returncode == 1 and ERROR.search(run.stdout))
    if not is_finished or "INTERNAL ERROR" in run.stdout or "errors prevented" in run.stdout:
        raise MypyFailure(run.stdout[-4000:] + run.stderr)
    return run.stdout


def read_counts(text: str) -> dict[str, int]:
    """The accepted number of errors by file, from lines such as "3 datasets/services.py"."""
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return {file: int(number) for number, file in pairs}


def count_errors(output: str) -> dict[str, int]:
    """The number of errors by file in mypy's output."""
    files = [match["file"] for match in ERROR.finditer(output)]
    return {file: files.count(file) for file in dict.fromkeys(files)}


def lowered(accepted: Mapping[str, int], found: Mapping[str, int]) -> dict[str, int]:
    """The accepted numbers, each lowered to the number found; files without errors leave the list."""
    lower = {file: min(number, found.get(file, 0)) for file, number in accepted.items()}
    return {file: number for file, number in lower.items() if number}


def compare(accepted: Mapping[str, int], output: str) -> list[str]:
    """The lines to print where the errors are not the accepted ones; empty if they are."""
    found = count_errors(output)
    problems = [f"{file}: is an engine; tools/type_errors.txt must not list it" for file in accepted if is_engine(file)]
    for file in sorted({*accepted, *found}):
        number, limit = found.get(file, 0), accepted.get(file, 0)
        if number > limit:
            lines = [line for line in output.splitlines() if line.startswith(f"{file}:")]
            problems += [*lines, f"{file}: {number} type errors; {limit} are accepted. Mend the new ones."]
        elif number < limit:
            problems.append(f"{file}: {number} type errors, no longer {limit}: run python tools/check_types.py --write")
    return problems


def is_engine(file: str) -> bool:
    return file.startswith(ENGINES)


if __name__ == "__main__":
    sys.exit(main())
