"""Recognises a folder that holds splits, such as train/ val/ test/, in place of categories.

Datasets of Roboflow, Kaggle and YOLO have this layout, sometimes with one more folder inside each split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.imagedb.readers.category_names import comparable
from datasets.imagedb.readers.folder import subfolders
from digits_project.common.errors import BadInput

_ROLES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "eval", "evaluation", "dev"),
    "test": ("test", "testing"),
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words}
# one of the words, with a prefix or suffix: "seg_train", "training_set", "test images"
_SPLIT_NAME = re.compile(
    rf"(?P<before>.+[ _-])?(?P<word>{'|'.join(_ROLE_OF)})(?P<after>[ _-]?(?:set|data|dataset|images?|split|folder))?"
)
_PICTURES = {"images", "imgs", "jpegimages"}
_OF_DETECTION = _PICTURES | {"labels", "annotations", "masks"}
_MAX_DESCENT = 3


@dataclass(frozen=True)
class SplitFolders:
    """The folders of the splits, train included. `unused` are the names of other subfolders."""

    folders: dict[str, Path]
    unused: list[str]


def find_splits(folder: Path, roots: Sequence[Path]) -> SplitFolders | None:
    """The splits in a folder, or None if its subfolders are categories.

    Raises BadInput if the names are those of splits, but the images in them are not sorted into categories.
    """
    names = subfolders(folder, roots)
    matches = {name: match for name in names if (match := _SPLIT_NAME.fullmatch(name.casefold()))}
    roles = [_ROLE_OF[match["word"]] for match in matches.values()]
    if "train" not in roles or len(set(roles)) < 2:
        return None
    only_splits = len(matches) == len(names) and not any(match["before"] for match in matches.values())
    if len(set(roles)) < len(roles):
        if only_splits:
            raise BadInput(_ambiguous(folder, names))
        return None
    found = {role: folder / name for name, role in zip(matches, roles, strict=True)}
    train, categories = _with_categories(found.pop("train"), roots, set())
    others = {role: _with_categories(path, roots, categories) for role, path in found.items()}
    shared = {role for role, (_, inside) in others.items() if inside & categories}
    if len(categories) < 2 or _is_of_detection(categories) or not (only_splits or shared):
        if only_splits:
            raise BadInput(_not_sorted(folder, names, categories))
        return None
    unused = [name for name in names if name not in matches or _role(matches[name]) in others.keys() - shared]
    return SplitFolders({"train": train} | {role: others[role][0] for role in _ROLES if role in shared}, unused)


def _role(match):
    return _ROLE_OF[match["word"]]


def _with_categories(path, roots, known):
    """The folder at or below `path` that holds categories, and their comparable names; `known` are train's names.

    Descends into a single subfolder (seg_train/seg_train) as long as it contains folders and is not a category.
    """
    names = _inside(path, roots)
    for _ in range(_MAX_DESCENT):
        if len(names) != 1 or names & known or not (below := _inside(inner := _only(path, roots), roots)):
            break
        path, names = inner, below
    return path, names


def _inside(path, roots):
    try:
        return {comparable(name) for name in subfolders(path, roots)}
    except BadInput:  # no folder, or unreadable; the scan reports it
        return set()


def _only(path, roots):
    return path / subfolders(path, roots)[0]


def _is_of_detection(categories):
    names = {name.casefold() for name in categories}
    return names <= _OF_DETECTION and bool(names & _PICTURES)


def _ambiguous(folder, names):
    return (
        f"{folder} holds {_listed(names)}, which look like splits, but two of them have the same role. Name one "
        "folder for each: folder_train, has_val_folder with folder_val, has_test_folder with folder_test."
    )


def _not_sorted(folder, names, categories):
    if _is_of_detection(categories):
        return (
            f"{folder} holds {_listed(names)}, each with images beside labels or annotations, as for object "
            "detection (YOLO, COCO). A classifier needs the images of each split in one subfolder for each "
            "category, or lists of images and categories (method=textfile)."
        )
    return (
        f"{folder} holds {_listed(names)}, which are names of splits, not of categories, and they hold no subfolder "
        "for each category. Put the images of each split into subfolders by category, or list them in text files "
        f"(method=textfile). If {_listed(names)} are your categories, rename them."
    )


def _listed(names):
    return f"{', '.join(names[:-1])} and {names[-1]}"
