"""Reads and writes record files, which MXNet's own readers can read too; record_format describes them."""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets.imagedb.store.record_format import (
    FIRST,
    HEADER,
    LABEL,
    LABEL_AND_ID,
    LABEL_AT,
    LAST,
    LENGTH_BITS,
    MAGIC,
    MIDDLE,
    PART,
    WHOLE,
    framed,
    index_path,
    padded,
    parsed_index,
    record_ends,
)
from digits_project.common.errors import BadInput, DamagedFile

log = logging.getLogger(__name__)

SHOWN_PARTS = 2  # parts of a path in messages: the job's id and the file's name
_CLOSED = -1  # instead of a descriptor
_REMEDY = "Build the dataset again."
_SYNC_EVERY = 32 << 20  # bytes; the last sync, during which nothing can be reported, stays short


class DamagedRecords(DamagedFile):
    """A record file is truncated or invalid. The text names the file relative to the folder of jobs."""


def shown(path: Path) -> str:
    """A dataset's file as messages name it. Only operators see full server paths."""
    return "/".join(path.parts[-SHOWN_PARTS:])


def damaged(path: Path, what: str) -> DamagedRecords:
    """The exception for a damaged file. Logs the file's full path."""
    log.error("%s %s", path, what)
    return DamagedRecords(f"{shown(path)} {what}")


class RecordWriter:
    """Writes NAME.rec and NAME.idx under temporary names; the end of the with block syncs and renames them.

    After an error neither file is left.
    """

    def __init__(self, path: Path):
        self.path = path
        self._aside = path.with_name(path.name + ".part")
        self._index_aside = path.with_name(path.name + ".idx.part")
        self._offsets = array("q")
        self._position = 0
        self._synced = 0

    def __enter__(self) -> RecordWriter:
        self._file = self._aside.open("w+b", buffering=1 << 20)
        return self

    def __len__(self) -> int:
        return len(self._offsets)

    def write(self, label: float | np.ndarray, payload: bytes) -> None:
        """Append one record; its id is its number, from 0. A label of several numbers is an array of one dimension."""
        if isinstance(label, np.ndarray):
            header = HEADER.pack(len(label), 0, len(self._offsets), 0) + label.astype("<f4").tobytes()
        else:
            header = HEADER.pack(0, label, len(self._offsets), 0)
        data = header + payload
        if len(data) >= 1 << LENGTH_BITS:
            raise ValueError(f"A record holds fewer than {1 << LENGTH_BITS} bytes, but this one has {len(data)}")
        self._append(framed(data))

    def copy(self, record: bytearray, label: float) -> None:
        """Append a record of another file, as RecordReader.record() returns it, with this label and a new id."""
        LABEL_AND_ID.pack_into(record, LABEL_AT, label, len(self._offsets))
        self._append(record)

    def append_block(self, pieces: Iterable[memoryview], sizes: np.ndarray) -> None:
        """Append records that stand together in `pieces` and have their new ids already; `sizes` are their bytes."""
        for piece in pieces:
            self._file.write(piece)
        ends = self._position + np.cumsum(sizes)
        self._offsets.frombytes((ends - sizes).astype(np.int64).tobytes())
        self._position = int(ends[-1])
        if self._position - self._synced >= _SYNC_EVERY:
            self._sync()

    def _append(self, record: bytes | bytearray) -> None:
        self._file.write(record)
        self._offsets.append(self._position)
        self._position += len(record)
        if self._position - self._synced >= _SYNC_EVERY:
            self._sync()

    def relabel(self, labels: Sequence[float], tick: Callable[[], None] = lambda: None) -> None:
        """Replace the label l of every record written so far by labels[l]. Calls `tick` for every record."""
        self._file.flush()
        descriptor = self._file.fileno()
        for offset in self._offsets:
            (label,) = LABEL.unpack(os.pread(descriptor, LABEL.size, offset + LABEL_AT))
            os.pwrite(descriptor, LABEL.pack(labels[int(label)]), offset + LABEL_AT)
            tick()

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            self._file.close()
            self._aside.unlink(missing_ok=True)
            self._index_aside.unlink(missing_ok=True)

    def _publish(self):
        self._sync()
        with self._index_aside.open("w", encoding="ascii", newline="\n") as index:
            index.writelines(f"{number}\t{offset}\n" for number, offset in enumerate(self._offsets))
            index.flush()
            os.fsync(index.fileno())
        # Rename the index first, so that every visible .rec has its .idx.
        self._index_aside.replace(index_path(self.path))
        self._aside.replace(self.path)

    def _sync(self):
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self._synced = self._position


class RecordReader:
    """Random access to a record file. Safe for threads and forked children: it reads by position and never seeks.

    Raises DamagedRecords when a truncated file is opened and when an invalid record is read.
    """

    def __init__(self, path: Path):
        self.path = path
        self._descriptor = _CLOSED
        self._open()
        try:
            self._size = os.fstat(self._descriptor).st_size
            self.offsets = self._load_offsets()
            self._ends = record_ends(self.offsets, self._size)
            self._check_last()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, number: int) -> tuple[float, bytes]:
        """The label and the payload of a record of one label; negative numbers count from the end."""
        labels, payload, listed = self._record(number)
        if listed:
            raise self._damaged(f"record {number} has {len(labels)} labels, not one")
        return float(labels[0]), payload

    def labels(self, number: int) -> tuple[np.ndarray, bytes]:
        """The labels (float32, n) and the payload of a record with any number of labels."""
        return self._record(number)[:2]

    def record(self, number: int) -> bytearray:
        """The bytes of a record as they stand in the file."""
        offset, end = int(self.offsets[number]), int(self._ends[number])
        record = os.pread(self._descriptor, end - offset, offset)
        self._unframed(record, offset)
        return bytearray(record)

    def places(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where these records begin and end in the file."""
        return self.offsets[numbers], self._ends[numbers]

    def read_bytes(self, start: int, stop: int) -> bytearray:
        """The bytes of the file from `start` to `stop`."""
        return bytearray(os.pread(self._descriptor, stop - start, start))

    def _record(self, number):
        offset, end = int(self.offsets[number]), int(self._ends[number])
        record = os.pread(self._descriptor, end - offset, offset)
        data = self._unframed(record, offset)
        if len(data) < HEADER.size:
            raise self._damaged(f"the record at byte {offset} has no header")
        flag, label, _, _ = HEADER.unpack_from(data)
        if not flag:
            return np.array([label], np.float32), data[HEADER.size :], False
        if flag > (len(data) - HEADER.size) // 4:
            raise self._damaged(f"the record at byte {offset} is too short for its {flag} labels")
        return np.frombuffer(data, "<f4", flag, HEADER.size), data[HEADER.size + 4 * flag :], True

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def reopened(self) -> RecordReader:
        """Another reader of the same file, without reading its index again. Raises DamagedRecords if it is gone."""
        other = copy(self)
        other._descriptor = _CLOSED
        other._open()
        return other

    def close(self) -> None:
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise damaged(self.path, f"does not exist. {_REMEDY}") from error

    def _load_offsets(self):
        """int64, one offset per record, in the order of the index."""
        path = index_path(self.path)
        if not path.exists():
            raise damaged(path, f"does not exist; it is the index of {self.path.name}. {_REMEDY}")
        rows = parsed_index(path.read_bytes())
        if rows is None:
            raise damaged(path, f"is not an index of records. {_REMEDY}")
        offsets = rows[:, 1].copy()
        if len(offsets) and not (offsets.min() >= 0 and offsets.max() < self._size and not (offsets % 4).any()):
            raise self._damaged(f"its index, {shown(path)}, points outside of it")
        return offsets

    def _check_last(self):
        """Read the last record, so that a truncated file is found now and not hours into a training."""
        if len(self.offsets):
            last = int(np.argmax(self.offsets))
            self._record(last)
        elif self._size:
            raise self._damaged(f"its index, {shown(index_path(self.path))}, is empty")

    def _unframed(self, record, offset):
        """The data of a record, from its bytes `record`, which start at byte `offset` of the file."""
        parts: list[bytes] = []
        position, flag = 0, None
        while flag not in (WHOLE, LAST):
            if position + PART.size > len(record):
                raise self._damaged(f"the record at byte {offset} is cut short")
            magic, word = PART.unpack_from(record, position)
            flag, length = word >> LENGTH_BITS, word & ((1 << LENGTH_BITS) - 1)
            if magic != MAGIC or flag not in ((MIDDLE, LAST) if parts else (WHOLE, FIRST)):
                raise self._damaged(f"no record begins at byte {offset + position}")
            position += PART.size
            if position + padded(length) > len(record):
                raise self._damaged(f"the record at byte {offset} is cut short")
            parts.append(record[position : position + length])
            position += padded(length)
        return parts[0] if len(parts) == 1 else MAGIC.join(parts)

    def _damaged(self, what):
        return damaged(self.path, f"is damaged: {what}. {_REMEDY}")


def read_record(file: BinaryIO, path: Path, only_skip: bool = False) -> bytes:
    """Read the record at the file's position and return its data; with `only_skip`, b"".

    Raises BadInput, which names `path`, for an invalid or truncated record.
    """
    parts: list[bytes] = []
    flag, start = None, file.tell()
    size = os.fstat(file.fileno()).st_size
    while flag not in (WHOLE, LAST):
        head = file.read(PART.size)
        if len(head) < PART.size:
            raise BadInput(f"{path} is damaged: the record at byte {start} is cut short.")
        magic, word = PART.unpack(head)
        flag, length = word >> LENGTH_BITS, word & ((1 << LENGTH_BITS) - 1)
        if magic != MAGIC or flag not in ((MIDDLE, LAST) if parts else (WHOLE, FIRST)):
            raise BadInput(f"{path} is damaged: no record begins at byte {file.tell() - PART.size}.")
        if file.tell() + length > size:
            raise BadInput(f"{path} is damaged: the record at byte {start} is cut short.")
        parts.append(b"" if only_skip else file.read(length))
        file.seek(padded(length) - (0 if only_skip else length), os.SEEK_CUR)
    return b"" if only_skip else MAGIC.join(parts)
