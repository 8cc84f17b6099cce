"""The engine that turns folders and lists of images into image databases. Plain Python: no server in it."""

from datasets.imagedb.build import build, check, check_folder
from datasets.imagedb.images import BadImage
from datasets.imagedb.spec import Built, Source, Spec, Split, TextSource
from datasets.imagedb.textfile import check as check_lists

__all__ = [
    "BadImage",
    "Built",
    "Source",
    "Spec",
    "Split",
    "TextSource",
    "build",
    "check",
    "check_folder",
    "check_lists",
]
