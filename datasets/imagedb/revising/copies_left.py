"""Counts the exact copies among the records of a revision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.copies import ExactCopies, Members, count_members
from datasets.imagedb.revising.changes import RevisedSplit
from datasets.imagedb.store.record_format import HEADER, PART
from datasets.imagedb.store.records import RecordReader


def count(directory: Path, splits: Sequence[RevisedSplit], log: BuildLog, tick: Callable[[], None]) -> ExactCopies:
    """Count the records that hold the same image, and list them in the log."""
    groups: dict[bytes, int] = {}
    group: list[int] = []
    for split in splits:
        with RecordReader(directory / f"{split.name}.rec") as reader:
            for number in range(len(reader)):
                payload = memoryview(reader.record(number))[PART.size + HEADER.size :]
                digest = hashlib.sha256(payload).digest()[:16]
                group.append(groups.setdefault(digest, len(groups)))
                tick()
    sizes = [split.entries for split in splits]
    members = Members.among(
        np.array(group),
        np.repeat(np.arange(len(splits)), sizes),
        np.concatenate([split.after[split.is_kept] for split in splits]),
        np.concatenate([np.arange(size) for size in sizes]),
        _paths(directory, splits),
    )
    return count_members(members, log, stay=False)


def _paths(directory: Path, splits: Sequence[RevisedSplit]) -> Callable[[int, int], str]:
    listed: dict[int, list[bytes]] = {}

    def path(split: int, number: int) -> str:
        if split not in listed:
            listing = directory / f"{splits[split].name}.txt"
            listed[split] = listing.read_bytes().split(b"\n") if listing.exists() else []
        lines = listed[split]
        known = lines[number].rpartition(b" ")[0].decode("utf-8", "replace") if number < len(lines) else ""
        return known or f"{splits[split].name}/{number}"

    return path
