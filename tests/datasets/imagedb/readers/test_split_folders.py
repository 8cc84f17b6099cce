"""Folders that hold train/ val/ test/ where the categories are expected."""

import shutil

import pytest

from datasets.imagedb import FolderSource, Spec, build, check, check_folder
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput
from tests.support.samples.archive_samples import zip_of
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits

SIZES = {"train": {0: 6, 1: 5, 2: 4}, "val": {0: 3, 1: 2, 2: 2}, "test": {0: 2, 1: 2, 2: 3}}


@pytest.fixture
def layout(tmp_path):
    """A folder with splits of these names, each with a subfolder for each category."""

    def layout(**names):
        for role, name in (names or {role: role for role in SIZES}).items():
            write_digits(tmp_path / "data" / name, SIZES[role])
        return tmp_path / "data"

    return layout


def built_of(folder, tmp_path, **changes):
    check(Spec(FolderSource(folder)))
    built = build(spec_of(folder, **changes), tmp_path / "job", ignore_progress)
    return built.categories, {split.name: split.per_category for split in built.splits}, built


@pytest.mark.parametrize(
    "names",
    [
        {"train": "train", "val": "val", "test": "test"},
        {"train": "Train", "val": "Valid", "test": "Test"},
        {"train": "training", "val": "validation", "test": "testing"},
        {"train": "train", "val": "eval", "test": "test"},
        {"train": "seg_train/seg_train", "val": "seg_dev/seg_dev", "test": "seg_test/seg_test"},
        {"train": "training_set/training_set", "val": "validation_set/validation_set", "test": "test_set/test_set"},
    ],
    ids=lambda names: names["train"],
)
def test_the_splits_of_a_folder_are_used_as_such(layout, tmp_path, names):
    categories, splits, built = built_of(layout(**names), tmp_path)
    assert categories == ["0", "1", "2"]
    assert splits == {"train": [6, 5, 4], "val": [3, 2, 2], "test": [2, 2, 3]}
    assert built.found == ("train", "val", "test")[1:]
    assert "they are used as the splits, and the subfolders of each as its categories" in built.warnings[0]


def test_without_a_folder_for_validation_it_is_taken_from_train(layout, tmp_path):
    _, splits, built = built_of(layout(train="train", test="test"), tmp_path)
    assert splits == {"train": [4, 4, 3], "val": [2, 1, 1], "test": [2, 2, 3]}
    assert built.found == ("test",)


def test_a_folder_that_the_form_names_comes_before_the_one_that_is_found(layout, tmp_path):
    own = FolderSource(write_digits(tmp_path / "own", {0: 4, 1: 4}))
    _, splits, built = built_of(layout(), tmp_path, val=own)
    assert splits["val"] == [4, 4, 0]
    assert f"Not used of {tmp_path / 'data'}: val." in built.warnings


def test_limits_per_category_hold_for_a_split_that_is_found(layout, tmp_path):
    folder = layout()
    shutil.rmtree(folder / "val")
    write_digits(folder / "val", {0: 1, 1: 1, 2: 5})
    _, splits, _ = built_of(folder, tmp_path, val_limits=(1, 3))
    assert splits["val"] == [1, 1, 3]


def test_images_for_testing_that_are_not_sorted_are_left_out_with_a_warning(layout, tmp_path):
    folder = layout(train="train", val="val")
    shutil.copytree(write_digits(tmp_path / "some", {3: 5}) / "3", folder / "test")
    categories, splits, built = built_of(folder, tmp_path)
    assert (categories, set(splits)) == (["0", "1", "2"], {"train", "val"})
    assert f"Not used of {folder}: test." in built.warnings


def test_what_lies_beside_the_splits_is_left_out_with_a_warning(layout, tmp_path):
    folder = layout()
    write_digits(folder / "samples", {0: 2})
    categories, splits, built = built_of(folder, tmp_path)
    assert (categories, splits["train"]) == (["0", "1", "2"], [6, 5, 4])
    assert f"Not used of {folder}: samples." in built.warnings


@pytest.mark.parametrize("top", ["", "roboflow.v1/", "a/b/c/"])
def test_an_archive_of_splits_is_used_as_such(layout, tmp_path, top):
    folder = layout(train="train", val="valid")
    members = {f"{top}{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.png")}
    (tmp_path / "data.zip").write_bytes(zip_of(members | {f"{top}README.dataset.txt": b"made by"}))
    categories, splits, _ = built_of(tmp_path / "data.zip", tmp_path)
    assert (categories, splits) == (["0", "1", "2"], {"train": [6, 5, 4], "val": [3, 2, 2]})


def test_categories_that_only_sound_like_splits_stay_categories(tmp_path):
    folder = tmp_path / "vehicles"
    for digit, name in enumerate(("bus", "train", "crash test")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), folder / name)
    assert built_of(folder, tmp_path)[0] == ["bus", "crash test", "train"]


def test_a_folder_for_training_and_a_category_called_train_are_told_apart(tmp_path):
    folder = tmp_path / "vehicles"
    for digit, name in enumerate(("bus", "train")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), folder / name)
    assert built_of(folder, tmp_path)[0] == ["bus", "train"]


def flat(tmp_path):
    """train/ and val/ with images at once, as Kaggle's cats and dogs have."""
    for digit, name in enumerate(("train", "val")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), tmp_path / "data" / name)
    return tmp_path / "data"


def yolo(tmp_path):
    """train/images beside train/labels."""
    for digit, name in enumerate(("train", "valid")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), tmp_path / "data" / name / "images")
        (tmp_path / "data" / name / "labels").mkdir()
        (tmp_path / "data" / name / "labels" / "000.txt").write_text("0 0.5 0.5 1 1\n")
    return tmp_path / "data"


def ambiguous(tmp_path):
    for name in ("train", "val", "valid"):
        write_digits(tmp_path / "data" / name, {0: 3, 1: 3})
    return tmp_path / "data"


@pytest.mark.parametrize(
    "make, message",
    [
        (flat, "holds train and val, which are the names of splits, not of categories, and no subfolder for each"),
        (yolo, r"holds train and valid, each with images beside labels or annotations, .*\(YOLO, COCO\)"),
        (ambiguous, "holds train, val and valid, which look like splits, but two of them have the same role"),
    ],
)
def test_splits_that_are_not_sorted_into_categories_are_refused_both_at_once_and_when_built(tmp_path, make, message):
    folder = make(tmp_path)
    with pytest.raises(BadInput, match=message):
        check(Spec(FolderSource(folder)))
    with pytest.raises(BadInput, match=message):
        build(spec_of(folder), tmp_path / "job", ignore_progress)


@pytest.mark.parametrize(
    "split, hint", [("val", "for folder_val name {}/val"), ("test", "folder_test it has none for test")]
)
def test_a_validation_folder_that_holds_the_splits_is_refused_with_the_one_to_name(layout, split, hint):
    folder = layout(train="train", val="val")
    with pytest.raises(BadInput) as refusal:
        check_folder(folder, EVERYWHERE, split)
    assert hint.format(folder) in str(refusal.value)


def test_a_folder_around_the_categories_is_named_in_the_refusal(layout):
    folder = layout()
    (folder / "around").mkdir()
    (folder / "train").rename(folder / "around" / "train")
    with pytest.raises(BadInput, match=f"has one subfolder only, train.* name {folder}/around/train"):
        check(Spec(FolderSource(folder / "around")))
