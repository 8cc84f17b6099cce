"""Checks the types of the product with mypy, as pyproject.toml configures it, and those of its client: make types

Prints mypy's errors and returns its exit status, 0 without any. On Python 3.10 it checks nothing: the plugin for Django
has no version for it.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MYPY = (sys.executable, "-m", "mypy")


def main() -> int:
    if sys.version_info < (3, 11):
        print("Types are checked on Python 3.11 and later")
        return 0
    return max(subprocess.run(MYPY, cwd=folder).returncode for folder in (ROOT, ROOT / "client"))


if __name__ == "__main__":
    sys.exit(main())
