"""The sources of datasets: the ways to provide images, registered by name."""

from datasets.sources.fold_source import FoldMethod
from datasets.sources.folder_source import FolderMethod
from datasets.sources.prebuilt_source import PrebuiltMethod
from datasets.sources.revision_source import RevisionMethod
from datasets.sources.source import (
    MAX_NAME,
    SOURCES,
    Source,
    SourceColumns,
    SourceForm,
    method_choices,
    register,
    sources_of,
)
from datasets.sources.textfile_source import TextfileMethod

# Commands have their options in this order, and pages their columns; the first of a kind is its form's default.
FOLDER = register(FolderMethod())
TEXTFILE = register(TextfileMethod())
PREBUILT = register(PrebuiltMethod())
REVISION = register(RevisionMethod())
FOLD = register(FoldMethod())

__all__ = [
    "FOLD",
    "FOLDER",
    "MAX_NAME",
    "PREBUILT",
    "REVISION",
    "SOURCES",
    "TEXTFILE",
    "Source",
    "SourceColumns",
    "SourceForm",
    "method_choices",
    "register",
    "sources_of",
]
