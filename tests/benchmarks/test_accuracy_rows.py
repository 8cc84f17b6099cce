"""results.json of `make bench-accuracy`, and the table that docs/choosing.md shows."""

import re
from dataclasses import replace

import pytest

from benchmarks.accuracy.accuracy_rows import BEGIN, END, PAGE, AccuracyRow, merged, read_rows, store, with_table
from benchmarks.accuracy.trainings import Training

FOLD = Training(best=0.8, last=0.7, seconds=12.4, disk=141_000_000, recipe="features", load=1.5)
OTHER = replace(FOLD, best=0.9, last=0.8, load=2.5)


@pytest.fixture
def page(tmp_path):
    """A page with an empty table between two paragraphs."""
    path = tmp_path / "choosing.md"
    path.write_text(f"before\n\n{BEGIN}\n{END}\n\nafter\n")
    return path


def test_a_row_is_stored_with_its_date_commit_and_load(tmp_path, page):
    row = AccuracyRow.of("clothing", "features", [FOLD, OTHER])
    store(row, tmp_path / "results.json", page)
    assert read_rows(tmp_path / "results.json") == [row]
    assert row.load == 2.0
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row.date)
    assert re.fullmatch(r"([0-9a-f]{7,}\+?)?", row.commit)


def test_runs_of_parts_one_after_another_fill_one_file_and_one_table(tmp_path, page):
    for images, recipe in (("digits", "auto"), ("clothing", "features"), ("digits", "auto")):
        store(AccuracyRow.of(images, recipe, [FOLD]), tmp_path / "results.json", page)
    assert [(row.images, row.recipe) for row in read_rows(tmp_path / "results.json")] == [
        ("clothing", "features"),
        ("digits", "auto"),
    ]
    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n\n| images | recipe |")
    assert text.endswith(f"\n\n{END}\n\nafter\n")
    assert text.count("| clothing | features | features | 1 | 80.0 % | 70.0 % | 12 | 141 MB | 1.5 |") == 1


def test_a_row_shows_the_mean_of_its_folds_and_how_much_they_differ():
    assert AccuracyRow.of("clothing", "features", [FOLD, OTHER]).cells[3:6] == ("2", "85.0 ± 5.0 %", "75.0 %")


def test_a_run_of_fewer_folds_does_not_replace_one_of_more():
    whole = AccuracyRow.of("clothing", "features", [FOLD, OTHER])
    assert merged([whole], AccuracyRow.of("clothing", "features", [OTHER])) == [whole]
    later = AccuracyRow.of("clothing", "features", [OTHER, OTHER])
    assert merged([whole], later) == [later]


def test_the_table_in_the_docs_is_that_of_the_measured_rows():
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text, read_rows()) == text
