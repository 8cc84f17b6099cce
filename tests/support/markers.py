"""Hooks of conftest.py on the collected tests: mark each test with what it needs, and put the slowest files first.

The marks `browser`, `database`, `trainer` and `slow` are derived from a test's fixtures and code: a test that calls
`start_trainer`, itself or through a fixture or a helper of tests/, gets the mark `trainer`. A need that the code does
not show, as in `call_command("train", …)`, is marked in the test's file; so is `torch`, which skips a test where
PyTorch is not installed (tests/support/engines/torch_environment.py).

With `--no-loadscope-reorder` (Makefile) xdist distributes the files in this order, so that no process is left alone
with a long file at the end.
"""

import functools
from collections import Counter
from collections.abc import Iterator
from inspect import unwrap
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest

from digits_project.stack.embedded import Services
from models_app.tasks import train_model
from models_app.training.engines import open_engine
from models_app.training.trainer import train
from tests.support import console, server, webserver
from tests.support.engines.torch_environment import skip_without_torch
from tests.support.samples import training_samples


class Need(NamedTuple):
    """What a call shows of a test: the marks that the test needs, and roughly how many seconds the call takes."""

    marks: set[str]
    seconds: float


CALLS = {
    open_engine: Need({"trainer"}, 0.1),
    train: Need({"trainer"}, 0.5),
    train_model: Need({"trainer", "slow"}, 4),
    training_samples.start_trainer: Need({"trainer", "slow"}, 4),
    server.RunningServer: Need({"slow"}, 15),
    Services: Need({"slow"}, 2),
    webserver.gunicorn_server: Need({"slow"}, 4),
    console.start_command: Need({"slow"}, 3),  # manage.py as a process
}
FIXTURES = {"chromium": {"browser", "slow"}, "db": {"database"}, "transactional_db": {"database"}}
SECONDS = {"slow": 1.0, "database": 0.05}  # added for each test with this mark; slow(30) adds 30


def pytest_itemcollected(item):
    """Mark a test before `-m` selects tests."""
    found = {"database"} if item.get_closest_marker("django_db") else set()
    found = found.union(*(FIXTURES.get(name, set()) for name in item.fixturenames))
    for mark in sorted(found.union(*(need.marks for function, _ in _functions(item) for need in _needs(function)))):
        item.add_marker(mark)


@pytest.hookimpl(trylast=True)  # after pytest-django, which sorts by the use of the database
def pytest_collection_modifyitems(items):
    skip_without_torch(items)
    seconds, seen = Counter(), set()
    for item in items:
        seconds[item.path] += sum(_seconds(mark) for mark in item.iter_markers())
        for function, shared in _functions(item):
            if not shared or (item.path, function) not in seen:
                seconds[item.path] += sum(need.seconds for need in _needs(function))
                seen.add((item.path, function))
    items.sort(key=lambda item: -seconds[item.path])


def _seconds(mark: pytest.Mark) -> float:
    return mark.args[0] if mark.name == "slow" and mark.args else SECONDS.get(mark.name, 0)


def _functions(item: pytest.Item) -> Iterator[tuple[FunctionType, bool]]:
    """The test and its fixtures, each with whether other tests of the file share its result."""
    yield item.function, False
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for definition in definitions:
            yield definition.func, definition.scope != "function"


@functools.cache
def _needs(function: FunctionType) -> list[Need]:
    return [CALLS[each] for each in called_by(function) if each in CALLS]


def called_by(function: object) -> set[object]:
    """The functions and classes that a function refers to, directly or through functions of tests/."""
    found: set[object] = set()
    to_do = [function]
    while to_do:
        current = unwrap(to_do.pop())
        if isinstance(current, FunctionType):
            named = [current.__globals__.get(name) for name in _names(current.__code__)]
            new = {each for each in named if isinstance(each, FunctionType | type)} - found
            found |= new
            to_do += [each for each in new if each.__module__.startswith("tests.")]
    return found


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function looks up, nested functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
