"""The server paths that a user may name: those in the data roots, without the folders of jobs hidden from the user."""

import os
from itertools import islice
from pathlib import Path

from django.conf import settings

from digits_project.accounts.viewer import limited_user
from digits_project.common import confined_files
from digits_project.common.errors import BadInput
from digits_project.jobs.visibility import find_visible

MAX_SUGGESTIONS = 100
MAX_ENTRIES_READ = 20_000  # of a folder, for suggestions


def readable(path: str, *more_roots: Path) -> Path:
    """The file or folder that a user named, with links resolved. Raises BadInput if it lies outside of the data roots
    and `more_roots`; the message does not reveal whether it exists. To open the file, use confined_files."""
    if not path.startswith("/"):
        raise BadInput(f"{path} is not an absolute path; paths are those of the server and begin with /.")
    try:
        found = confined_files.resolve(path, (*settings.DIGITS_DATA_ROOTS, *more_roots))
        if _is_of_hidden_job(found):
            raise confined_files.Outside(path, settings.DIGITS_DATA_ROOTS)
        return found
    except confined_files.Outside:
        raise confined_files.Outside(path, settings.DIGITS_DATA_ROOTS) from None
    except (OSError, RuntimeError) as unreadable:  # RuntimeError: links in a circle, up to Python 3.12
        named = confined_files.shown(path)
        raise BadInput(f"{named} can't be read: no permission, links in a circle, or not a valid path.") from unreadable


def _is_of_hidden_job(path: Path) -> bool:
    """Whether the path lies in the folder of a job that the user may not see."""
    jobs = settings.DIGITS_JOBS_DIR.resolve()
    if limited_user() is None or not path.is_relative_to(jobs):
        return False
    return path == jobs or find_visible(path.relative_to(jobs).parts[0]) is None


def is_folder(path: str) -> bool:
    """Whether the path is a folder. Raises BadInput as readable() does."""
    try:
        with confined_files.open_folder(readable(path), settings.DIGITS_DATA_ROOTS):
            return True
    except OSError:
        return False


def paths_beginning_with(query: str) -> list[str]:
    """Completions of a path that begins with `query`, sorted, only in the data roots.

    As in a shell, hidden names are suggested only if the query's last name begins with a dot. On a private server only
    operators get suggestions.
    """
    if limited_user():
        return []
    query = "/" + query.lstrip("/")
    folder, _, beginning = query.rpartition("/")
    roots = {str(root) for root in settings.DIGITS_DATA_ROOTS if str(root).startswith(query)}
    return sorted({*roots, *_entries(folder or "/", beginning)})[:MAX_SUGGESTIONS]


def _entries(folder: str, beginning: str) -> list[str]:
    """The readable entries of a folder whose names begin with `beginning`."""
    try:
        with confined_files.open_folder(folder, settings.DIGITS_DATA_ROOTS) as opened, os.scandir(opened) as entries:
            names = [entry.name for entry in islice(entries, MAX_ENTRIES_READ) if entry.name.startswith(beginning)]
    except (BadInput, OSError):
        return []
    shown = sorted(name for name in names if name.isprintable() and name.startswith(".") == beginning.startswith("."))
    paths = (os.path.normpath(f"{folder.rstrip('/')}/{name}") for name in shown)
    readable = (path for path in paths if not confined_files.leads_out(path, settings.DIGITS_DATA_ROOTS))
    return list(islice(readable, MAX_SUGGESTIONS))
