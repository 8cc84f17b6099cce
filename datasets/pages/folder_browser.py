"""The folders of the server, one level at a time, to choose one that holds images."""

import os
from typing import NamedTuple

from django.conf import settings
from django.shortcuts import render
from rest_framework.serializers import CharField
from rest_framework.views import APIView

from datasets.imagedb.images.formats import SUFFIXES
from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user
from digits_project.api.forms import Form
from digits_project.common import confined_files
from digits_project.common.errors import BadInput
from digits_project.jobs import data_roots

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2")
MAX_SHOWN = 200  # folders and archives of a folder
MAX_READ = 20_000  # names of a folder


class FolderQuery(Form):
    """The query string: a folder of the server."""

    path = CharField(default="", help_text="The folder; empty: the folders that this server may read.")


class FolderContents(NamedTuple):
    """What a folder holds: its subfolders and archives by path and name, and how many images lie in it itself."""

    folders: list[tuple[str, str]]
    archives: list[tuple[str, str]]
    images: int
    is_whole: bool


class FolderBrowser(APIView):
    """A folder of the server with its subfolders, as a part of a page."""

    reading_role = Role.USER
    schema = None

    def get(self, request):
        path, problem = FolderQuery.valid_values(request.query_params)["path"], ""
        roots = [] if limited_user() else [str(root) for root in settings.DIGITS_DATA_ROOTS]
        if not path and len(roots) == 1:
            path = roots[0]
        shown = FolderContents([(root, root) for root in roots], [], 0, True)
        if path and not limited_user():
            try:
                path = str(data_roots.readable(path))
                shown = listing(path)
            except BadInput as wrong:
                problem = str(wrong)
        context = {"path": path, "above": _above(path, roots), "shown": shown, "problem": problem}
        return render(request._request, "datasets/folders.html", context)


def listing(path: str) -> FolderContents:
    """What a folder holds, hidden names left out. Raises BadInput if it can't be read."""
    folders, archives, images, names = [], [], 0, 0
    try:
        with confined_files.open_folder(path, settings.DIGITS_DATA_ROOTS) as opened, os.scandir(opened) as entries:
            for entry in entries:
                names += 1
                if names > MAX_READ:
                    break
                if entry.name.startswith(".") or not entry.name.isprintable():
                    continue
                inner = os.path.join(path, entry.name)  # noqa: PTH118 - joins text
                if entry.is_symlink() and confined_files.leads_out(inner, settings.DIGITS_DATA_ROOTS):
                    continue
                if _is_folder(entry):
                    folders.append((inner, entry.name))
                elif entry.name.lower().endswith(ARCHIVES):
                    archives.append((inner, entry.name))
                else:
                    images += entry.name.lower().endswith(tuple(SUFFIXES))
    except OSError as error:
        raise confined_files.unreadable(path, error) from error
    is_whole = names <= MAX_READ and len(folders) <= MAX_SHOWN and len(archives) <= MAX_SHOWN
    return FolderContents(sorted(folders)[:MAX_SHOWN], sorted(archives)[:MAX_SHOWN], images, is_whole)


def _is_folder(entry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _above(path: str, roots: list[str]) -> str | None:
    """The folder above, or "" for the list of roots; None if there is nothing above."""
    if not path or (path in roots and len(roots) == 1):
        return None
    return "" if path in roots else os.path.dirname(path)  # noqa: PTH120 - text
