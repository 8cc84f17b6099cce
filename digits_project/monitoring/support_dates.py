"""The dates until which Python, PostgreSQL, Redis and Valkey get security fixes.

`supported_until("Python", (3, 10, 13))` is the last day, None if no end is known. Sources: the status of Python's
branches (PEP 602 and its successors), PostgreSQL's versioning policy (five years), Valkey's (three years for each
minor version), and for Redis 7 the dates of Redis Enterprise with the same number, because the free edition has no
dates; as of November 2026.
"""

from datetime import date

_ENDS: dict[str, dict[tuple[int, ...], date]] = {
    "Python": {
        (3, 10): date(2026, 10, 31),
        (3, 11): date(2027, 10, 31),
        (3, 12): date(2028, 10, 31),
        (3, 13): date(2029, 10, 31),
        (3, 14): date(2030, 10, 31),
    },
    "PostgreSQL": {
        (14,): date(2026, 11, 12),
        (15,): date(2027, 11, 11),
        (16,): date(2028, 11, 9),
        (17,): date(2029, 11, 8),
        (18,): date(2030, 11, 14),
    },
    "Valkey": {
        (7, 2): date(2027, 4, 16),
        (8, 0): date(2027, 9, 15),
        (8, 1): date(2028, 3, 31),
        (9, 0): date(2028, 10, 21),
    },
    "Redis": {(7, 2): date(2026, 2, 28), (7, 4): date(2026, 11, 30)},
}


def supported_until(product: str, version: tuple[int, ...]) -> date | None:
    """The last day of support; None for a version newer than all in the table, `date.min` for one older than all."""
    ends = _ENDS[product]
    branches = [branch for branch in ends if version[: len(branch)] == branch]
    if branches:
        return ends[branches[0]]
    return None if version > max(ends) else date.min


def has_ended(product: str, version: tuple[int, ...]) -> bool:
    """Whether this version no longer gets security fixes."""
    end = supported_until(product, version)
    return end is not None and end < date.today()
