"""Opens databases of other programs: LMDB of Caffe Datum, and RecordIO with MXNet's image header.

Reading a damaged LMDB can crash the process, so only forked workers may call index() and read().
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import lmdb
import numpy as np

from datasets.imagedb.foreign.datum import Item, parse_datum
from datasets.imagedb.images.decoding import decode, to_array
from datasets.imagedb.store.records import MAGIC, read_record
from digits_project.common.confined_files import open_file
from digits_project.common.errors import BadInput

_META = struct.Struct("<16xII")
_LMDB_MAGIC, _LMDB_VERSION = 0xBEEFC0DE, 1
_MIN_ENTRY_BYTES = 8  # an LMDB node without its data
_HEADER = struct.Struct("<IfQQ")


class Database(Protocol):
    """A database of numbered entries. A mark is a position from which entries can be read."""

    path: Path

    def index(self, step: int) -> tuple[int, list]:
        """The number of entries, and the marks (positions for read()) of every `step`th entry. Raises BadInput."""

    def read(self, mark, count: int) -> Iterator[tuple[str, bytes]]:
        """The names and contents of `count` entries from the mark on. Raises BadInput."""

    def parse(self, content: bytes) -> Item:
        """Parse the contents of an entry. Raises BadInput without the entry's name."""


def open_database(path: Path, roots: Sequence[Path]) -> Database:
    """Open an LMDB folder, its data file, or a .rec file, recognised by content. Raises BadInput for anything else, and
    for a path that, with links resolved, is outside of `roots`."""
    file = path
    try:
        try:
            head = _head(file, roots)
        except IsADirectoryError:
            file = path / "data.mdb"
            head = _head(file, roots)
    except FileNotFoundError as error:
        missing = f"{path} does not exist." if file == path else f"{path} holds no data.mdb: it is not an LMDB."
        raise BadInput(missing) from error
    except OSError as error:
        raise BadInput(f"{file} can't be read: {error.strerror}.") from error
    if head.startswith(MAGIC):
        return RecordDatabase(file, roots)
    if len(head) == _META.size and _META.unpack(head)[0] == _LMDB_MAGIC:
        if _META.unpack(head)[1] != _LMDB_VERSION:
            raise BadInput(f"{path} is an LMDB of a version that can't be read.")
        return LmdbDatabase(file, roots)
    raise BadInput(f"{path} is neither an LMDB nor a RecordIO file.")


class LmdbDatabase:
    """Datum messages by key, in the order of the keys."""

    def __init__(self, file: Path, roots: Sequence[Path]):
        self.path = file
        self._roots = roots
        # Opened by the worker that uses them.
        self._file: BinaryIO | None = None
        self._environment: lmdb.Environment | None = None

    def index(self, step):
        marks, count = [], 0
        try:
            with self._opened().begin() as transaction:
                most = self._bytes() // _MIN_ENTRY_BYTES
                for key in transaction.cursor().iternext(keys=True, values=False):
                    if count % step == 0:
                        marks.append(key)
                    count += 1
                    if count > most:
                        raise self._damaged("its pages lead in a circle")
        except lmdb.Error as error:
            raise self._damaged(error) from error
        return count, marks

    def read(self, mark, count):
        try:
            with self._opened().begin() as transaction:
                cursor = transaction.cursor()
                if not cursor.set_key(mark):
                    raise self._damaged("a key has vanished")
                for _ in range(count):
                    yield repr(cursor.key().decode("utf-8", "backslashreplace")), cursor.value()
                    cursor.next()
        except lmdb.Error as error:
            raise self._damaged(error) from error

    def parse(self, content):
        return parse_datum(content)

    def _opened(self):
        if self._environment is None:
            self._file = reopened(self.path, self._roots)
            descriptor = self._file.fileno()
            itself = f"/proc/self/fd/{descriptor}"  # the file that was checked
            self._environment = lmdb.open(
                itself, subdir=False, readonly=True, lock=False, readahead=False, create=False
            )
            page = self._environment.stat()["psize"]
            if (self._environment.info()["last_pgno"] + 1) * page > os.fstat(descriptor).st_size:
                raise self._damaged("it is cut short")
        return self._environment

    def _bytes(self):
        return os.fstat(self._file.fileno()).st_size if self._file else 0

    def _damaged(self, reason):
        return BadInput(f"{self.path} is a damaged LMDB: {reason}.")


class RecordDatabase:
    """A RecordIO file: each record has a header with labels, which an encoded image can follow."""

    def __init__(self, file: Path, roots: Sequence[Path]):
        self.path = file
        self._roots = roots

    def index(self, step):
        marks, count = [], 0
        with reopened(self.path, self._roots) as file:
            size = os.fstat(file.fileno()).st_size
            while file.tell() < size:
                if count % step == 0:
                    marks.append((file.tell(), count))
                read_record(file, self.path, only_skip=True)
                count += 1
        return count, marks

    def read(self, mark, count):
        offset, number = mark
        with reopened(self.path, self._roots) as file:
            file.seek(offset)
            for record in range(number, number + count):
                yield str(record), read_record(file, self.path)

    def parse(self, content):
        if len(content) < _HEADER.size:
            raise BadInput("it has no header")
        flag, label, _, _ = _HEADER.unpack_from(content)
        if flag > (len(content) - _HEADER.size) // 4:
            raise BadInput(f"it is too short for its {flag} labels")
        labels = np.frombuffer(content, "<f4", flag, _HEADER.size) if flag else np.array([label], np.float32)
        payload = content[_HEADER.size + 4 * flag :]
        image = decode(payload) if payload else None
        pixels = to_array(image, 1 if image.mode == "L" else 3) if image else None
        return Item(pixels, None, labels)


def reopened(path: Path, roots: Sequence[Path]) -> BinaryIO:
    """Open again a file that was checked with the form. Raises BadInput."""
    try:
        return open_file(path, roots)
    except OSError as error:
        raise BadInput(f"{path} can't be read any more: {error.strerror}.") from error


def _head(file, roots):
    with open_file(file, roots) as opened:
        return opened.read(_META.size)
