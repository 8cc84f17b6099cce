"""tools/check_types.py: the number of type errors can only shrink, and the engines have none."""

import sys

import pytest

from tests.support.server import ROOT
from tools import check_types

ERROR = "{}:{}: error: Something does not fit  [arg-type]\n"
OUTPUT = ERROR.format("a.py", 3) + "a.py:3: note: See the documentation\n" + ERROR.format("b.py", 9)


def test_accepted_type_errors_pass():
    assert check_types.compare({"a.py": 1, "b.py": 1}, OUTPUT) == []


def test_a_type_error_that_moved_to_another_line_passes():
    assert check_types.compare({"a.py": 1}, ERROR.format("a.py", 77)) == []


@pytest.mark.parametrize("accepted", [{"a.py": 1}, {"a.py": 1, "b.py": 0}], ids=["not_listed", "more_than_listed"])
def test_a_type_error_beyond_the_accepted_number_fails_and_is_shown(accepted):
    *shown, summary = check_types.compare(accepted, OUTPUT)
    assert shown == [ERROR.format("b.py", 9).rstrip()]
    assert summary.startswith("b.py: 1 type errors; 0 are accepted.")


def test_an_accepted_number_that_is_too_high_fails_until_it_is_lowered():
    accepted = {"a.py": 3, "b.py": 1, "c.py": 2}
    assert [line.partition(":")[0] for line in check_types.compare(accepted, OUTPUT)] == ["a.py", "c.py"]
    lowered = check_types.lowered(accepted, check_types.count_errors(OUTPUT))
    assert lowered == {"a.py": 1, "b.py": 1}
    assert check_types.compare(lowered, OUTPUT) == []


def test_lowering_the_numbers_accepts_no_new_error():
    assert check_types.lowered({"a.py": 1}, {"a.py": 5, "b.py": 1}) == {"a.py": 1}


def test_an_engine_cannot_be_in_the_list_of_accepted_errors():
    file = "datasets/imagedb/build.py"
    assert check_types.compare({file: 1}, ERROR.format(file, 1)) == [
        f"{file}: is an engine; tools/type_errors.txt must not list it"
    ]


def test_the_list_of_accepted_errors_names_existing_files_and_no_engine():
    accepted = check_types.read_counts(check_types.ACCEPTED.read_text())
    assert [file for file in accepted if not (ROOT / file).exists() or check_types.is_engine(file)] == []
    assert [folder for folder in check_types.ENGINES if not (ROOT / folder).is_dir()] == []


def test_a_crash_of_mypy_raises(monkeypatch):
    monkeypatch.setattr(
        check_types, "MYPY", ("python", "-c", "print('a.py: error: INTERNAL ERROR'); raise SystemExit(2)")
    )
    with pytest.raises(check_types.MypyFailure, match="INTERNAL ERROR"):
        check_types.run_mypy()


def test_a_missing_mypy_raises(monkeypatch):
    monkeypatch.setattr(check_types, "MYPY", (sys.executable, "-m", "no_such_mypy"))
    with pytest.raises(check_types.MypyFailure, match="No module named no_such_mypy"):
        check_types.run_mypy()
