"""tools/check_types.py: a type error fails the check, and so does a mypy that can't do its work."""

import sys

import pytest

from tools import check_types

PROGRAM = (sys.executable, "-c")
ERROR = "print('a.py:3: error: Something does not fit  [arg-type]'); raise SystemExit(1)"


@pytest.fixture
def checked(monkeypatch, capfd):
    """Runs the check with this command in place of mypy. Returns its exit status and what it prints."""

    def checked(*command):
        monkeypatch.setattr(check_types, "MYPY", command)
        monkeypatch.setattr(sys, "version_info", max(sys.version_info, (3, 11)))
        status = check_types.main()
        return status, "".join(capfd.readouterr())

    return checked


def test_a_product_without_type_errors_passes(checked):
    assert checked(*PROGRAM, "") == (0, "")


def test_a_type_error_fails_and_is_shown(checked):
    status, printed = checked(*PROGRAM, ERROR)
    assert (status, set(printed.splitlines())) == (1, {"a.py:3: error: Something does not fit  [arg-type]"})


def test_a_mypy_that_stops_fails(checked):
    assert checked(*PROGRAM, "raise SystemExit(2)")[0] == 2


def test_a_mypy_that_is_not_installed_fails(checked):
    status, printed = checked(sys.executable, "-m", "no_such_mypy")
    assert status != 0
    assert "No module named no_such_mypy" in printed


def test_python_3_10_has_nothing_to_check(checked, monkeypatch):
    monkeypatch.setattr(check_types, "MYPY", (*PROGRAM, ERROR))
    monkeypatch.setattr(sys, "version_info", (3, 10, 0, "final", 0))
    assert check_types.main() == 0
