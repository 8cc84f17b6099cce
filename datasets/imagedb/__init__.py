"""The engine that turns folders and lists of images into image databases. Plain Python: no server in it."""

from datasets.imagedb.archive import check as check_archive
from datasets.imagedb.build import build
from datasets.imagedb.buildlog import skipped_in_words
from datasets.imagedb.category_names import usable as usable_names
from datasets.imagedb.checking import check, check_folder
from datasets.imagedb.images import BadImage
from datasets.imagedb.prebuilt import Prebuilt, PrebuiltSpec, PrebuiltSplit, build_prebuilt, check_prebuilt
from datasets.imagedb.spec import Built, Source, Spec, Split, TextSource
from datasets.imagedb.staging import clear_away
from datasets.imagedb.textfile import check as check_lists

__all__ = [
    "BadImage",
    "Built",
    "Prebuilt",
    "PrebuiltSpec",
    "PrebuiltSplit",
    "Source",
    "Spec",
    "Split",
    "TextSource",
    "build",
    "build_prebuilt",
    "check",
    "check_archive",
    "check_folder",
    "check_lists",
    "check_prebuilt",
    "clear_away",
    "skipped_in_words",
    "usable_names",
]
