"""Registers declarations: each registry is a dict by name, in the order of registration."""

from collections.abc import Collection
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


Declaration = TypeVar("Declaration", bound=Named)


def add(
    registry: dict[str, Declaration],
    declared: Declaration,
    called: str,
    max_name: int | None = None,
    reserved: Collection[str] = (),
) -> Declaration:
    """Add a declaration to a registry, after those that it has, and return it.

    called: the declaration in messages, with {!r} for its name, such as "an engine {!r}".
    max_name: the length of the column that stores the name, in characters.
    reserved: names that no declaration may have.

    Raises ValueError if the name is taken or too long.
    """
    if declared.name in registry or declared.name in reserved:
        raise ValueError(f"{called.format(declared.name)} is registered already")
    if max_name is not None and len(declared.name) > max_name:
        raise ValueError(f"the name {declared.name!r} is longer than the column: {max_name} characters")
    registry[declared.name] = declared
    return declared
