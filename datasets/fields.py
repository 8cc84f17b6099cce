"""The kinds of fields that the dataset forms have."""

import os
import stat
from pathlib import Path

from rest_framework import serializers

from datasets import imagedb
from digits_project.access import readable
from digits_project.api import Flag
from digits_project.errors import BadInput

MAX_PATH = 4096


class FlagOn(Flag):
    """A flag that is true when it is absent or empty."""

    def __init__(self):
        super().__init__()
        self.default = True


class ServerPath(serializers.CharField):
    """An absolute path that the server may read; the value is resolved. Subclasses say what must be there."""

    def __init__(self, **kwargs):
        super().__init__(max_length=MAX_PATH, **kwargs)

    def to_internal_value(self, data):
        try:
            path = readable(super().to_internal_value(data))
            self.check(path)
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        return str(path)

    def check(self, path: Path) -> None:
        """Raise BadInput if this is not what the field wants."""


class CategoriesFolder(ServerPath):
    """A folder that has at least so many subfolders."""

    def __init__(self, categories: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.categories = categories

    def check(self, path):
        imagedb.check_folder(path, self.categories)


class ImagesFolder(ServerPath):
    """A folder that relative names begin with."""

    def check(self, path):
        if not stat.S_ISDIR(_status(path).st_mode):
            raise BadInput(f"{path} is not a folder.")


class ServerFile(ServerPath):
    """A file."""

    def check(self, path):
        if not stat.S_ISREG(_status(path).st_mode):
            raise BadInput(f"{path} is not a file.")
        if not os.access(path, os.R_OK, effective_ids=True):
            raise BadInput(f"{path} can't be read: permission denied. Let the server's user read it.")


class Database(ServerPath):
    """An LMDB folder or file, or a RecordIO file."""

    def check(self, path):
        if path.is_dir():
            readable(str(path / "data.mdb"))  # a link must not lead out of the data roots
        imagedb.check_prebuilt(path)


class MeanFile(ServerFile):
    """A mean image: .binaryproto or .npy."""

    def check(self, path):
        super().check(path)
        if path.suffix not in (".binaryproto", ".npy"):
            raise BadInput(f"{path} is neither a .binaryproto nor a .npy file.")


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist.") from error
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}.") from error
