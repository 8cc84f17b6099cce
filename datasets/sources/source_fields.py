"""The types of fields that the forms of the sources have."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from rest_framework import serializers

from datasets import imagedb
from digits_project.api.forms import Flag, PathField
from digits_project.api.uploads import Upload
from digits_project.common.confined_files import open_file, open_folder, shown, unreadable
from digits_project.common.errors import BadInput
from digits_project.jobs.data_roots import readable
from digits_project.received import received_file


class FlagOn(Flag):
    """A flag that is true when it is absent or empty."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.default = True


class ServerPath(PathField):
    """A path that the server may read; the value is resolved. Subclasses check what is there."""

    def to_internal_value(self, data):
        try:
            if "://" in str(data):
                raise BadInput("This is a URL; only a path on the server can be named here.")
            path = readable(super().to_internal_value(data))
            self.check(path)
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        return str(path)

    def check(self, path: Path) -> None:
        """Raise BadInput if the path does not fit the field."""


class CategoriesFolder(ServerPath):
    """A folder with one subfolder of images for each category, for a split, or an archive of one."""

    def __init__(self, split: str, **kwargs):
        super().__init__(**kwargs)
        self.split = split

    def check(self, path):
        imagedb.check_folder(path, settings.DIGITS_DATA_ROOTS, self.split)


class ArchiveField(Upload):
    """An uploaded archive of a folder. Only the limit of the whole form limits its size."""

    def __init__(self, **kwargs):
        super().__init__(most_bytes=1 << 62, **kwargs)

    def to_internal_value(self, data):
        archive = super().to_internal_value(data)
        try:
            imagedb.check_archive(archive, shown(archive.name))
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        archive.seek(0)
        return archive


class ReceivedArchive(serializers.CharField):
    """The id of an archive that the client has sent in pieces (/uploads). The value is its ReceivedFile."""

    def __init__(self, **kwargs):
        super().__init__(style={"input_type": "hidden"}, **kwargs)

    def to_internal_value(self, data):
        received = received_file.find(super().to_internal_value(data))
        if received is None:
            raise serializers.ValidationError("There is no such upload, or not any more: choose the images again.")
        if not received.is_complete:
            raise serializers.ValidationError(
                f"{received.offset:,} of {received.length:,} bytes have arrived. Wait for the others, or choose the "
                "same images again to go on."
            )
        try:
            with received.content.open("rb") as content:
                imagedb.check_archive(content, shown(received.name or "The upload"))
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        return received


class ImagesFolder(ServerPath):
    """The folder that relative paths in a list start from."""

    def check(self, path):
        with readable_or_bad(path), open_folder(path, settings.DIGITS_DATA_ROOTS):
            pass


class ServerFile(ServerPath):
    """The path of a file on the server."""

    def check(self, path):
        with readable_or_bad(path), open_file(path, settings.DIGITS_DATA_ROOTS):
            pass


class DatabaseField(ServerPath):
    """An LMDB folder or file, or a RecordIO file."""

    def check(self, path):
        imagedb.check_prebuilt(path, settings.DIGITS_DATA_ROOTS)


class MeanFile(ServerFile):
    """A mean image: .binaryproto or .npy."""

    def check(self, path):
        super().check(path)
        if path.suffix not in (".binaryproto", ".npy"):
            raise BadInput(f"{path} is neither a .binaryproto nor a .npy file.")


@contextmanager
def readable_or_bad(path: Path) -> Iterator[None]:
    """Raise BadInput, which says what to do, if the block can't open the path."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist.") from error
    except IsADirectoryError as error:
        raise BadInput(f"{path} is not a file.") from error
    except NotADirectoryError as error:
        raise BadInput(f"{path} is not a folder.") from error
    except OSError as error:
        raise unreadable(path, error) from error
