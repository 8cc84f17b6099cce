"""Plans a build: which images of which categories go to which split, before any image is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.imagedb import copies, split, split_groups
from datasets.imagedb.build_log import BuildLog, named
from datasets.imagedb.copies import ExactCopies
from datasets.imagedb.group_names import AUTO, OFF
from datasets.imagedb.progress import BuildProgress
from datasets.imagedb.readers import archive, folder, textfile
from datasets.imagedb.readers.listing import Listing
from datasets.imagedb.readers.split_folders import find_splits
from datasets.imagedb.spec import FolderSource, Spec
from datasets.imagedb.split import Part
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.resources import usable_cores

_SCAN_SHARE = 0.05  # of the progress; reading and encoding take nearly all the time
_UNPACK_SHARE, _UNPACK_SHARE_OF_SCAN = 0.4, 0.9  # if there is an archive


@dataclass(frozen=True)
class Plan:
    """The parts to write, train first. `found` are the splits that have their own folders in the train folder."""

    categories: list[str]
    parts: list[Part]
    copies: ExactCopies
    found: tuple[str, ...] = ()


class Planner:
    """Scans the sources of one build. `unpacking` is the folder for archives' files, `aside` the one for working
    files."""

    def __init__(self, spec: Spec, aside: Path, unpacking: Path, log: BuildLog, progress: BuildProgress):
        self._spec = spec
        self._paths = aside / "paths"
        self._unpacking = unpacking
        self._log = log
        self._progress = progress
        self._packed = {source for source in (spec.train, spec.val, spec.test) if self._is_packed(source)}
        self.share = _UNPACK_SHARE if self._packed else _SCAN_SHARE  # of the build's progress

    def run(self) -> Plan:
        """Make the plan. Raises BadInput."""
        return self._plan_lists() if self._spec.listed else self._plan_folders()

    def _plan_lists(self):
        spec = self._spec
        categories = textfile.read_categories(spec.labels)
        sources = [(name, source) for name in split.NAMES if (source := getattr(spec, name))]
        shares = np.linspace(0, self.share, len(sources) + 1)
        listings = []
        for (_, source), start, stop in zip(sources, shares, shares[1:], strict=False):
            self._progress.enter(start, stop)
            listings.append(textfile.scan(source, spec, categories, self._paths, self._progress.at))
            listings[-1].summaries = copies.summaries_of(listings[-1], self._progress.tick)
        parts = [
            split.listed_part(name, listing, spec, self._log)
            for (name, _), listing in zip(sources, listings, strict=True)
        ]
        groups = copies.find(listings, self._progress.tick)
        together = split_groups.join_groups(listings, groups, spec.split_groups, self._progress.tick)
        parts = self._grouped(split_groups.keep_apart(parts, together, self._log), together)
        return Plan(categories, parts, copies.count(parts, groups, self._log, stay=False))

    def _plan_folders(self):
        own = [(name, source) for name in split.NAMES if (source := getattr(self._spec, name))]
        shares = np.linspace(0, self.share, len(own) + 1)
        listings: dict[str, Listing] = {}
        for (name, source), start, stop in zip(own, shares, shares[1:], strict=False):
            for split_name, path, roots in self._folders_of(name, source, start, stop):
                listings[split_name] = self._scanned(path, roots)
        found = tuple(name for name in listings if getattr(self._spec, name) is None)
        spec = replace(self._spec, **{name: self._found_source(name, listings[name].root) for name in found})
        tick = self._progress.tick
        found_copies = copies.find(list(listings.values()), tick)
        joined = split_groups.join_groups(list(listings.values()), found_copies, spec.split_groups, tick)
        groups, together = (dict(zip(listings, one, strict=True)) for one in (found_copies, joined))
        categories, parts = split.deal(listings["train"], spec, self._log, tick, together["train"])
        for name in (name for name in split.NAMES[1:] if name in listings):
            parts.append(split.own_part(name, listings[name], spec, categories, self._log, tick))
        parts.sort(key=lambda part: split.NAMES.index(part.name))
        of_parts, to_share = ([one.get(part.name, one["train"]) for part in parts] for one in (groups, together))
        parts = self._grouped(split_groups.keep_apart(parts, to_share, self._log), to_share)
        counted = copies.count(parts, of_parts, self._log, stay=len(listings) == 1 and spec.split_groups != OFF)
        return Plan(categories, parts, counted, found)

    def _grouped(self, parts: Sequence[Part], together: Sequence[np.ndarray]) -> list[Part]:
        """The parts with their groups, if these are named. `together[k]` belongs to part k's listing."""
        if self._spec.split_groups in (AUTO, OFF):
            return list(parts)
        return [replace(part, groups=groups) for part, groups in zip(parts, together, strict=True)]

    def _scanned(self, path, roots):
        workers = self._spec.workers or usable_cores()
        return folder.scan(path, self._paths, self._log, self._progress.at, roots, workers)

    def _folders_of(self, name, source, start, stop) -> list[tuple[str, Path, Sequence[Path]]]:
        """(split, folder, its roots) of a source: one split, or several if the train folder holds the splits."""
        path, roots = source.folder, self._spec.roots
        if source in self._packed:
            unpacked = start + _UNPACK_SHARE_OF_SCAN * (stop - start)
            self._progress.enter(start, unpacked)
            path, roots = self._unpacked(source)
            start = unpacked
        self._progress.enter(start, stop)
        layout = find_splits(path, roots) if name == "train" else None
        if layout is None:
            return [(name, path, roots)]
        used = {role: inner for role, inner in layout.folders.items() if role == name or not getattr(self._spec, role)}
        self._log.warn(
            f"{path} holds {', '.join(inner.name for inner in layout.folders.values())}: they are used as the "
            "splits, and their subfolders as the categories."
        )
        unused = layout.unused + [inner.name for role, inner in layout.folders.items() if role not in used]
        if unused:
            self._log.warn(f"Not used in {path}: {named(unused)}.")
        return [(role, inner, roots) for role, inner in used.items()]

    def _found_source(self, name, path):
        return FolderSource(path, *getattr(self._spec, f"{name}_limits"))

    def _is_packed(self, source):
        return isinstance(source, FolderSource) and (source.sent or archive.is_archive(source.folder, self._spec.roots))

    def _unpacked(self, source):
        """Unpack an archive. Returns its folder of images, and the only root for them. It is removed with the build."""
        self._unpacking.mkdir(exist_ok=True)
        into = self._unpacking / str(len(list(self._unpacking.iterdir())))
        name = source.name or str(source.folder)
        self._log.call(into, name)
        roots = EVERYWHERE if source.sent else self._spec.roots
        return archive.unpack(source.folder, name, into, self._log, self._progress.at, roots), (into,)
