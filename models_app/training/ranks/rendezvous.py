"""Where the ranks of a training meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from digits_project.common.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """Where the ranks of a training meet.

    hosts: the number of hosts. host: the number of this one; the ranks of host 0 come first.
    address, port: those of host 0. With one host the port is 0: the ranks choose a free one.
    identity: a name that only these ranks know; others can't take part.
    timeout: how many seconds the ranks wait for each other, at the start and later.
    """

    hosts: int = 1
    host: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    identity: str = "training"
    timeout: float = 300.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rendezvous:
        """The inverse of to_dict(). Raises BadInput."""
        try:
            found = cls(**values)
        except TypeError as error:
            raise BadInput(f"the rendezvous of the ranks is not valid: {error}") from error
        if not 0 <= found.host < found.hosts:
            raise BadInput(f"the rendezvous of the ranks names host {found.host} of {found.hosts}")
        return found
