"""Names of categories: which are rejected, and which count as one category."""

import unicodedata

import numpy as np
import pytest

from datasets.imagedb import FolderSource, Spec, TextSource, build, check, usable_names
from datasets.imagedb.readers.category_names import fault
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.fixture
def folder_of(tmp_path):
    """A function that writes a folder of digits with subfolders of these names."""

    def folder_of(*names, parent="images", each=6):
        folder = write_digits(tmp_path / parent, dict.fromkeys(range(len(names)), each))
        for digit, name in enumerate(names):
            (folder / str(digit)).rename(folder / name)
        return folder

    return folder_of


@pytest.mark.parametrize(
    "name, message",
    [
        ("\x1b[31mred", "has an invisible character, U+001B (a control character)"),
        ("a\tb", "has an invisible character, U+0009 (a tab)"),
        ("cat\u200b", "has an invisible character, U+200B (ZERO WIDTH SPACE)"),
        ("c\u200dat", "has an invisible character, U+200D (ZERO WIDTH JOINER)"),
        ("\u202etac", "has an invisible character, U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("\ufeffcat", "has an invisible character, U+FEFF (ZERO WIDTH NO-BREAK SPACE)"),
        ("\x7f", "has an invisible character, U+007F (a control character)"),
        ("\u3164", "has an invisible character, U+3164 (HANGUL FILLER)"),
        (" cat", "begins or ends with a blank"),
        ("cat\u00a0", "begins or ends with a blank"),
        ("two\nlines", "must be one line"),
        ("page\u2028break", "must be one line"),
        ("", "is empty"),
        ("caf\udce9", "is not UTF-8"),
        ("Ankle boot", None),
        ("T-shirt_top (2)", None),
        ("猫", None),
        (DECOMPOSED, None),
        ("👨\u200d👩\u200d👧", None),
    ],
)
def test_a_category_name_contains_only_visible_characters(name, message):
    assert fault(name) == message


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\tb", "cat\u200b", " cat", "cat ", "\u202etac"])
def test_a_folder_with_an_invalid_category_name_is_rejected_by_check_and_build(folder_of, tmp_path, name):
    folder = folder_of("dog", name)
    for check_or_build in (
        lambda: check(Spec(FolderSource(folder))),
        lambda: build(spec_of(folder), tmp_path / "job", ignore_progress),
    ):
        with pytest.raises(BadInput, match=r"can't name a category: it .*Rename it") as error:
            check_or_build()
        assert "\x1b" not in str(error.value)


def test_a_category_in_two_unicode_forms_is_merged_with_a_warning(folder_of, tmp_path):
    built = build(spec_of(folder_of(COMPOSED, DECOMPOSED, "tea")), tmp_path / "job", ignore_progress)
    assert built.categories == [COMPOSED, "tea"]
    assert sum(np.array(split.per_category) for split in built.splits).tolist() == [12, 6]
    assert "2 subfolders of" in built.warnings[0]
    assert "differ only in how Unicode encodes their letters" in built.warnings[0]
    assert r"'caf\xe9', 'cafe\u0301'" in built.warnings[0]


def test_a_category_keeps_the_unicode_form_of_its_folder(folder_of, tmp_path):
    built = build(spec_of(folder_of(DECOMPOSED, "tea")), tmp_path / "job", ignore_progress)
    assert (built.categories, built.warnings) == ([DECOMPOSED, "tea"], [])
    assert (tmp_path / "job" / "labels.txt").read_text(encoding="utf-8") == f"{DECOMPOSED}\ntea\n"


def test_a_validation_folder_in_another_unicode_form_matches_the_training_folder(folder_of, tmp_path):
    train, val = folder_of(COMPOSED, "tea"), folder_of(DECOMPOSED, "tea", parent="val", each=3)
    built = build(spec_of(train, val=FolderSource(val)), tmp_path / "job", ignore_progress)
    assert built.splits[1].per_category == [3, 3]
    assert len(built.warnings) == 1
    assert "for val is matched with" in built.warnings[0]


def test_two_unicode_forms_of_one_name_do_not_count_as_two_categories(folder_of):
    with pytest.raises(BadInput, match=r"2 subfolders that name the same category, .* A classifier needs two"):
        check(Spec(FolderSource(folder_of(COMPOSED, DECOMPOSED))))


@pytest.mark.parametrize(
    "labels, message",
    [
        ("crane\ntea\ncrane\n", "Lines 1 and 3 of labels.txt name the same category, 'crane'. Give each"),
        (f"{COMPOSED}\n{DECOMPOSED}\n", "Lines 1 and 2 of labels.txt name the same category, "),
        (
            f"{COMPOSED}\n{DECOMPOSED}\n",
            r"; they differ only in how Unicode encodes their letters ('caf\xe9', 'cafe\u0301')",
        ),
        (
            "cat\n\x1b[31mdog\n",
            r"Line 2 of labels.txt can't name a category: '\x1b[31mdog' has an invisible character",
        ),
        ("cat\nd\tog\n", r"Line 2 of labels.txt can't name a category: 'd\tog' has an invisible character"),
        ("cat\nd\u200bog\n", r"Line 2 of labels.txt can't name a category: 'd\u200bog' has an invisible"),
    ],
)
def test_repeated_or_invalid_labels_are_rejected_with_their_line_numbers(tmp_path, labels, message):
    (tmp_path / "labels").write_text(labels, encoding="utf-8")
    (tmp_path / "list").write_text("/a.png 0\n/b.png 1\n")
    named = TextSource(tmp_path / "labels", "labels.txt")
    with pytest.raises(BadInput) as error:
        check(Spec(TextSource(tmp_path / "list", "list.txt"), labels=named))
    assert message in str(error.value)


def test_invalid_category_names_of_old_datasets_are_numbered_and_escaped():
    assert usable_names(["crane", "tea", "crane", "\x1bx", "crane"]) == [
        "crane",
        "tea",
        "crane (2)",
        r"\x1bx",
        "crane (3)",
    ]
    assert usable_names(["crane", "crane (2)", "crane"]) == ["crane", "crane (2)", "crane (3)"]
    assert usable_names([" cat", "dog"]) == [" cat", "dog"]


def test_control_characters_in_file_names_are_escaped_in_the_build_log(folder_of, tmp_path):
    folder = folder_of("cat", "dog")
    (folder / "cat" / "\x1b[2Jno.png").write_text("no image")
    build(spec_of(folder), tmp_path / "job", ignore_progress)
    log = (tmp_path / "job" / "build.log").read_text()
    assert "\x1b" not in log
    assert r"\x1b[2Jno.png: its content is not" in log
