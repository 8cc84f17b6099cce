"""Checks folders and lists quickly, before a build."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers import archive, folder, textfile
from datasets.imagedb.readers.category_names import different_spellings, grouped
from datasets.imagedb.readers.split_folders import find_splits
from datasets.imagedb.spec import Spec
from digits_project.common.errors import BadInput

_MAX_NAMES, _MAX_SECONDS = 5000, 5  # limits of the search for images; beyond them the build finds out
_CATEGORIES = {"train": 2, "val": 1, "test": 1}


def check(spec: Spec) -> None:
    """Raise BadInput for errors that can be found without decoding an image: a folder that is missing, unreadable, or
    has too few subfolders or no image, or a wrong line of a text file."""
    if spec.listed:
        for complaint in textfile.check(spec).values():
            raise BadInput(complaint)
        return
    for split in _CATEGORIES:
        source = getattr(spec, split)
        if source is not None and not source.sent:
            check_folder(source.folder, spec.roots, split)


def check_folder(path: Path, roots: Sequence[Path], split: str = "train") -> None:
    """Raise BadInput if the folder can't be used for a split: train needs two categories with images, val and test one.

    The folder can be an archive. The train folder can hold the splits in place of the categories.
    """
    if archive.is_archive(path, roots):
        return  # unpacking it checks the contents
    layout = find_splits(path, roots)
    if layout and split == "train":
        for name, inner in layout.folders.items():
            _check_categories(inner, roots, _CATEGORIES[name])
    elif layout:
        own = layout.folders.get(split)
        hint = f"name {own}" if own else f"it has no folder for {split}"
        raise BadInput(f"{path} holds the splits themselves, {', '.join(layout.folders)}; for folder_{split} {hint}.")
    else:
        _check_categories(path, roots, _CATEGORIES[split])


def _check_categories(path, roots, least):
    categories = grouped(folder.subfolders(path, roots))
    if len(categories) < least:
        raise BadInput(_only_one(path, categories[0], roots))
    with BuildLog(Path(os.devnull)) as log:
        found = folder.with_images(path, categories, least, roots, log, _patience())
    if found is not None and len(found) < least:
        raise BadInput(folder.one_category(path, found[0]) if found else folder.no_images(path))


def _only_one(path, names, roots):
    if len(names) > 1:
        return (
            f"{path} has {len(names)} subfolders that name the same category, {names[0]}: "
            f"{different_spellings(names)}. A classifier needs two categories."
        )
    try:
        inside = folder.subfolders(path / names[0], roots)
    except BadInput:
        inside = []
    hint = f" If the categories are in {names[0]}, name {path / names[0]}." if len(inside) > 1 else ""
    return (
        f"{path} has only one subfolder, {names[0]}; a classifier needs two categories. Put the images of each "
        f"category into a subfolder of its own.{hint}"
    )


def _patience():
    """A function that is called for each name and returns whether the search continues."""
    left, until = _MAX_NAMES, time.monotonic() + _MAX_SECONDS

    def goes_on() -> bool:
        nonlocal left
        left -= 1
        return left > 0 and time.monotonic() < until

    return goes_on
