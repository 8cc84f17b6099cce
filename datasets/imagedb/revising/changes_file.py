"""Reads changes from a file: JSON as the route takes it, or a report's CSV with a column of actions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from datasets.imagedb.revising.changes import EXCLUDE, RELABEL, Changes
from digits_project.common.confined_files import shown
from digits_project.common.errors import BadInput
from digits_project.common.escaping import without_apostrophe

ACTION, TO, LIKELIER = "action", "to", "likelier"
_PLACE = ("split", "record")
_ACTIONS = ("", EXCLUDE, RELABEL)
_JSON = 'It must be an object such as {"exclude": ["train/3"], "relabel": {"train/17": "cat"}}'


def read_changes(path: Path) -> Changes:
    """The changes in a file, JSON if its name ends in .json, else CSV. Raises BadInput.

    A line of CSV has split, record and action: exclude, relabel or nothing. The new category is in the column `to`, or
    in `likelier`, which a report fills for labels that seem wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise BadInput(f"{shown(path)} can't be read: {unreadable}") from unreadable
    try:
        return _of_json(path, text) if path.suffix == ".json" else _of_csv(path, text)
    except csv.Error as wrong:
        raise BadInput(f"{shown(path)} is not CSV: {wrong}.") from wrong


def _of_json(path: Path, text: str) -> Changes:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise BadInput(f"{shown(path)} is not JSON: {wrong}.") from wrong
    if not isinstance(found, dict):
        raise BadInput(f"{shown(path)}: {_JSON}.")
    exclude, relabel = found.get(EXCLUDE, []), found.get(RELABEL, {})
    if not _are_texts(exclude, list) or not (isinstance(relabel, dict) and _are_texts(list(relabel.values()), list)):
        raise BadInput(f"{shown(path)}: {_JSON}.")
    return Changes(tuple(exclude), relabel)


def _are_texts(values: object, kind: type) -> bool:
    return isinstance(values, kind) and all(isinstance(value, str) for value in values)  # type: ignore[attr-defined]


def _of_csv(path: Path, text: str) -> Changes:
    lines = csv.DictReader(io.StringIO(text, newline=""))
    if lacking := [name for name in (*_PLACE, ACTION) if name not in (lines.fieldnames or ())]:
        raise BadInput(f"{shown(path)} has no column {lacking[0]}; it needs split, record and action.")
    exclude: dict[str, None] = {}
    relabel: dict[str, str] = {}
    for number, image, action, category in _rows(lines):
        if action not in _ACTIONS:
            raise BadInput(f"{shown(path)}, line {number}: {shown(action)} is no action; write exclude or relabel.")
        if action == EXCLUDE:
            exclude[image] = None
        if action == RELABEL and not category:
            raise BadInput(f"{shown(path)}, line {number}: name the new category of {shown(image)} in the column {TO}.")
        if action == RELABEL and relabel.setdefault(image, category) != category:
            raise BadInput(f"{shown(path)}, line {number}: {shown(image)} got another category in a line before.")
    return Changes(tuple(exclude), relabel)


def _rows(lines: csv.DictReader[str]) -> Iterator[tuple[int, str, str, str]]:
    """The number of each line, its image, its action and its category."""
    for row in lines:
        category = without_apostrophe(_cell(row, TO) or _cell(row, LIKELIER))
        yield lines.line_num, "/".join(_cell(row, name) for name in _PLACE), _cell(row, ACTION).lower(), category


def _cell(row: Mapping[str, str | None], name: str) -> str:
    return (row.get(name) or "").strip()
