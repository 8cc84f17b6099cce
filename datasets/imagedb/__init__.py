"""The engine that builds image databases from folders, archives and lists of images. Plain Python, no server code."""

from datasets.imagedb.build import build
from datasets.imagedb.build_log import skipped_in_words
from datasets.imagedb.checking import check, check_folder
from datasets.imagedb.foreign.prebuilt import Prebuilt, PrebuiltSpec, PrebuiltSplit, build_prebuilt, check_prebuilt
from datasets.imagedb.group_names import COLUMN, MAX_PATTERN, NO_COLUMN, check_pattern
from datasets.imagedb.images.decoding import BadImage
from datasets.imagedb.readers.archive import check as check_archive
from datasets.imagedb.readers.category_names import usable as usable_names
from datasets.imagedb.readers.textfile import check as check_lists
from datasets.imagedb.revising.changes import Changes, WrongChange
from datasets.imagedb.revising.folds import FoldSpec, build_fold
from datasets.imagedb.revising.revise import RevisionSpec, revise
from datasets.imagedb.spec import Built, BuiltSplit, FolderSource, Spec, TextSource
from datasets.imagedb.store.staging import clear_away

__all__ = [
    "COLUMN",
    "MAX_PATTERN",
    "NO_COLUMN",
    "BadImage",
    "Built",
    "BuiltSplit",
    "Changes",
    "FoldSpec",
    "FolderSource",
    "Prebuilt",
    "PrebuiltSpec",
    "PrebuiltSplit",
    "RevisionSpec",
    "Spec",
    "TextSource",
    "WrongChange",
    "build",
    "build_fold",
    "build_prebuilt",
    "check",
    "check_archive",
    "check_folder",
    "check_lists",
    "check_pattern",
    "check_prebuilt",
    "clear_away",
    "revise",
    "skipped_in_words",
    "usable_names",
]
