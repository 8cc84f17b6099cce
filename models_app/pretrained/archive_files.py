"""Takes single files out of an archive that this server made, and that comes back as an upload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from datasets.imagedb.readers.archive import members_of
from datasets.imagedb.readers.archive_member import ArchiveMember, BadArchive
from digits_project.common.errors import BadInput

BLOCK = 1 << 20
MAX_MEMBERS = 10_000
MAX_UNPACKED = 8 << 30  # bytes of all members together


def take_files(file: BinaryIO, name: str, wanted: Mapping[str, int], into: Path) -> dict[str, Path]:
    """Write the members of these names into a folder, {name: path}; `wanted` maps a name to its largest size.

    Only the last part of a member's path counts, and of several members of one name the first. Links and devices are
    refused, and nothing else is written. Raises BadInput, which names the archive.
    """
    members = members_of(file)
    if members is None:
        raise BadInput(f"{name} is not an archive. Send a zip or a tar that this server made.")
    taken: dict[str, Path] = {}
    try:
        for number, member in enumerate(members(file, MAX_UNPACKED, lambda fraction: None)):
            if number >= MAX_MEMBERS:
                raise BadArchive(f"it has more than {MAX_MEMBERS:,} members")
            own = member.name.rpartition("/")[2]
            if own in wanted and own not in taken and not member.is_folder:
                taken[own] = _written(member, into / own, wanted[own])
    except BadArchive as bad:
        raise BadInput(f"{name} can't be used: {bad}.") from bad
    return taken


def _written(member: ArchiveMember, path: Path, most: int) -> Path:
    with path.open("xb") as file:
        while block := member.read(BLOCK):
            if file.tell() + len(block) > most:
                raise BadArchive(f"{member} has more than {most:,} bytes")
            file.write(block)
    return path
