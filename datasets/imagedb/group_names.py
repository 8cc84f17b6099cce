"""Which images must share a split: auto (exact copies), off, or those of one patient or video, which a pattern of paths
or the last column of lists names."""

from __future__ import annotations

import re

from digits_project.common.errors import BadInput
from digits_project.common.escaping import escaped

AUTO, OFF, COLUMN = "auto", "off", "column"
GROUP = "{group}"  # in a pattern: the part of the path that names the group
NO_COLUMN = (
    f"split_groups={COLUMN} is for lists of images, whose lines end with a group. Images of a folder are grouped by a "
    f"pattern of their paths, such as */{GROUP}_*."
)
GROUPS_SUFFIX = ".groups"  # of a file beside the records: the number of each one's group, int32, -1 for none
MAX_STARS = 4  # more would take long on a path that does not match
MAX_PATTERN = 200  # characters


def is_pattern(split_groups: str) -> bool:
    return split_groups not in (AUTO, OFF, COLUMN)


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of paths as a regular expression with one group. `*` is any text. Raises BadInput."""
    if pattern.count(GROUP) != 1 or len(pattern) > MAX_PATTERN or pattern.count("*") > MAX_STARS:
        raise BadInput(
            f"split_groups must be auto, off, column, or a pattern of paths with {GROUP} once and at most {MAX_STARS} "
            f"times *, such as */{GROUP}_*, not {escaped(pattern[:MAX_PATTERN])}."
        )
    parts = {"*": ".*?", GROUP: "(.+?)"}
    pieces = re.split(r"(\*|\{group\})", pattern)
    return re.compile("".join(parts.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL)


def check_pattern(split_groups: str) -> None:
    """Raise BadInput unless the value is auto, off, column or a pattern."""
    if is_pattern(split_groups):
        compiled(split_groups)
