"""Reads and copies many records of a file at once: their headers are read and written as columns of large blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from datasets.imagedb.store.record_format import LABEL, LABEL_AT, LENGTH_BITS, MAGIC, PART, WHOLE
from datasets.imagedb.store.records import RecordReader, RecordWriter, damaged

_BLOCK_BYTES = 4 << 20
_LARGE = 32 << 10  # bytes of a record, beside which reading a label of its own takes no longer
_LENGTH, _LABEL, _ID = 1, 3, 4  # words of a record after MAGIC
_MAGIC = int.from_bytes(MAGIC, "little")


class _Block(NamedTuple):
    """Records that stand near one another: their bytes, the places of the first to the last among the records asked
    for, and where each begins and ends in the bytes."""

    content: bytearray
    first: int
    last: int
    starts: np.ndarray
    ends: np.ndarray

    def words(self, kind: str = "<u4") -> np.ndarray:
        return np.frombuffer(self.content, kind, len(self.content) // 4)


def labels(reader: RecordReader, tick: Callable[[], None] = lambda: None) -> np.ndarray:
    """The label of every record of a file with one label a record, float32. Raises DamagedRecords."""
    numbers, found = np.arange(len(reader)), np.empty(len(reader), np.float32)
    starts, ends = reader.places(numbers)
    if (ends - starts).sum() > _LARGE * len(reader):
        heads = (reader.read_bytes(start, start + LABEL.size) for start in (starts + LABEL_AT).tolist())
        return np.frombuffer(b"".join(heads), "<f4")
    order = np.argsort(reader.offsets, kind="stable")
    for block in _blocks(reader, numbers[order]):
        found[order[block.first : block.last]] = block.words("<f4")[block.starts // 4 + _LABEL]
        tick()
    return found


def copy(
    reader: RecordReader, numbers: np.ndarray, new_labels: np.ndarray, writer: RecordWriter, at: Callable[[float], None]
) -> None:
    """Append these records of another file, with new labels and ids. `at` gets the fraction done.

    Raises DamagedRecords.
    """
    if (np.diff(reader.offsets[numbers]) <= 0).any():  # by an index in another order
        for number, label in zip(numbers.tolist(), new_labels.tolist(), strict=True):
            writer.copy(reader.record(number), label)
            at(len(writer) / len(numbers))
        return
    for block in _blocks(reader, numbers):
        places = block.starts // 4
        block.words("<f4")[places + _LABEL] = new_labels[block.first : block.last]
        words = block.words()
        words[places + _ID] = np.arange(len(writer), len(writer) + len(places))
        words[places + _ID + 1] = 0  # ids have 64 bits
        writer.append_block(_pieces(block), block.ends - block.starts)
        at(block.last / len(numbers))


def _pieces(block: _Block) -> Iterator[memoryview]:
    """The parts of a block that hold its records, without what lies between them."""
    content = memoryview(block.content)
    breaks = np.flatnonzero(block.starts[1:] != block.ends[:-1]) + 1
    for first, last in zip([0, *breaks.tolist()], [*breaks.tolist(), len(block.starts)], strict=True):
        yield content[int(block.starts[first]) : int(block.ends[last - 1])]


def _blocks(reader: RecordReader, numbers: np.ndarray) -> Iterator[_Block]:
    """The records of these numbers, which are in the order of the file, block by block. Raises DamagedRecords."""
    starts, ends = reader.places(numbers)
    first = 0
    while first < len(numbers):
        last = first + max(1, int(np.searchsorted(ends[first:], starts[first] + _BLOCK_BYTES, side="right")))
        begin, stop = int(starts[first]), int(ends[last - 1])
        block = _Block(
            reader.read_bytes(begin, stop), first, last, starts[first:last] - begin, ends[first:last] - begin
        )
        if not _are_whole(block, stop - begin):
            raise damaged(reader.path, f"is damaged: no whole records between bytes {begin} and {stop}.")
        yield block
        first = last


def _are_whole(block: _Block, size: int) -> bool:
    """Whether a record begins at each place, and the records of one part end where they should."""
    if len(block.content) != size:
        return False
    words, places = block.words(), block.starts // 4
    lengths = words[places + _LENGTH]
    is_whole = lengths >> LENGTH_BITS == WHOLE
    padded = (lengths[is_whole].astype(np.int64) + 3) & ~3
    fits = padded + PART.size <= (block.ends - block.starts)[is_whole]
    return bool((words[places] == _MAGIC).all() and fits.all())
