"""Folders that contain train/, val/ and test/ in the place of the categories."""

import shutil

import pytest

from datasets.imagedb import FolderSource, Spec, build, check, check_folder
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput
from tests.support.samples.archive_samples import zip_of
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits

SIZES = {"train": {0: 6, 1: 5, 2: 4}, "val": {0: 3, 1: 2, 2: 2}, "test": {0: 2, 1: 2, 2: 3}}


@pytest.fixture
def split_folders(tmp_path):
    """A function that writes a folder of splits with these names; each split has a subfolder for each category."""

    def split_folders(**names):
        for role, name in (names or {role: role for role in SIZES}).items():
            write_digits(tmp_path / "data" / name, SIZES[role])
        return tmp_path / "data"

    return split_folders


def build_folder(folder, tmp_path, **changes):
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
def test_folders_named_like_splits_are_used_as_splits(split_folders, tmp_path, names):
    categories, splits, built = build_folder(split_folders(**names), tmp_path)
    assert categories == ["0", "1", "2"]
    assert splits == {"train": [6, 5, 4], "val": [3, 2, 2], "test": [2, 2, 3]}
    assert built.found == ("train", "val", "test")[1:]
    assert "they are used as the splits, and their subfolders as the categories" in built.warnings[0]


def test_a_validation_split_is_taken_from_train_if_it_has_no_folder(split_folders, tmp_path):
    _, splits, built = build_folder(split_folders(train="train", test="test"), tmp_path)
    assert splits == {"train": [4, 4, 3], "val": [2, 1, 1], "test": [2, 2, 3]}
    assert built.found == ("test",)


def test_a_given_validation_folder_overrides_a_found_one(split_folders, tmp_path):
    own_folder = FolderSource(write_digits(tmp_path / "own", {0: 4, 1: 4}))
    _, splits, built = build_folder(split_folders(), tmp_path, val=own_folder)
    assert splits["val"] == [4, 4, 0]
    assert f"Not used in {tmp_path / 'data'}: val." in built.warnings


def test_the_limits_per_category_apply_to_found_splits(split_folders, tmp_path):
    folder = split_folders()
    shutil.rmtree(folder / "val")
    write_digits(folder / "val", {0: 1, 1: 1, 2: 5})
    _, splits, _ = build_folder(folder, tmp_path, val_limits=(1, 3), split_groups="off")
    assert splits["val"] == [1, 1, 3]


def test_a_test_folder_without_categories_is_omitted_with_a_warning(split_folders, tmp_path):
    folder = split_folders(train="train", val="val")
    shutil.copytree(write_digits(tmp_path / "some", {3: 5}) / "3", folder / "test")
    categories, splits, built = build_folder(folder, tmp_path)
    assert (categories, set(splits)) == (["0", "1", "2"], {"train", "val"})
    assert f"Not used in {folder}: test." in built.warnings


def test_other_folders_beside_the_splits_are_omitted_with_a_warning(split_folders, tmp_path):
    folder = split_folders()
    write_digits(folder / "samples", {0: 2})
    categories, splits, built = build_folder(folder, tmp_path)
    assert (categories, splits["train"]) == (["0", "1", "2"], [6, 5, 4])
    assert f"Not used in {folder}: samples." in built.warnings


@pytest.mark.parametrize("top", ["", "roboflow.v1/", "a/b/c/"])
def test_splits_in_an_archive_are_used_as_splits(split_folders, tmp_path, top):
    folder = split_folders(train="train", val="valid")
    members = {f"{top}{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.png")}
    (tmp_path / "data.zip").write_bytes(zip_of(members | {f"{top}README.dataset.txt": b"made by"}))
    categories, splits, _ = build_folder(tmp_path / "data.zip", tmp_path)
    assert (categories, splits) == (["0", "1", "2"], {"train": [6, 5, 4], "val": [3, 2, 2]})


def test_a_category_called_train_stays_a_category(tmp_path):
    folder = tmp_path / "vehicles"
    for digit, name in enumerate(("bus", "train", "crash test")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), folder / name)
    assert build_folder(folder, tmp_path)[0] == ["bus", "crash test", "train"]


def test_two_categories_of_which_one_is_called_train_are_categories(tmp_path):
    folder = tmp_path / "vehicles"
    for digit, name in enumerate(("bus", "train")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), folder / name)
    assert build_folder(folder, tmp_path)[0] == ["bus", "train"]


def write_splits_without_categories(tmp_path):
    """train/ and val/ with images but no subfolders, as in Kaggle's cats and dogs."""
    for digit, name in enumerate(("train", "val")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), tmp_path / "data" / name)
    return tmp_path / "data"


def write_yolo_folders(tmp_path):
    """train/ and valid/ with the subfolders images and labels."""
    for digit, name in enumerate(("train", "valid")):
        write_digits(tmp_path / "some", {digit: 4})
        shutil.copytree(tmp_path / "some" / str(digit), tmp_path / "data" / name / "images")
        (tmp_path / "data" / name / "labels").mkdir()
        (tmp_path / "data" / name / "labels" / "000.txt").write_text("0 0.5 0.5 1 1\n")
    return tmp_path / "data"


def write_ambiguous_splits(tmp_path):
    """Two folders, val and valid, for the same split."""
    for name in ("train", "val", "valid"):
        write_digits(tmp_path / "data" / name, {0: 3, 1: 3})
    return tmp_path / "data"


@pytest.mark.parametrize(
    "write_folder, message",
    [
        (
            write_splits_without_categories,
            "holds train and val, which are names of splits, not of categories, and they hold no subfolder for each",
        ),
        (write_yolo_folders, r"holds train and valid, each with images beside labels or annotations, .*\(YOLO, COCO\)"),
        (
            write_ambiguous_splits,
            "holds train, val and valid, which look like splits, but two of them have the same role",
        ),
    ],
)
def test_splits_without_categories_are_rejected_by_check_and_build(tmp_path, write_folder, message):
    folder = write_folder(tmp_path)
    with pytest.raises(BadInput, match=message):
        check(Spec(FolderSource(folder)))
    with pytest.raises(BadInput, match=message):
        build(spec_of(folder), tmp_path / "job", ignore_progress)


@pytest.mark.parametrize(
    "split, hint", [("val", "for folder_val name {}/val"), ("test", "folder_test it has no folder for test")]
)
def test_a_validation_folder_that_contains_splits_is_rejected_with_a_hint(split_folders, split, hint):
    folder = split_folders(train="train", val="val")
    with pytest.raises(BadInput) as error:
        check_folder(folder, EVERYWHERE, split)
    assert hint.format(folder) in str(error.value)


def test_the_error_for_an_outer_folder_names_the_folder_of_the_categories(split_folders):
    folder = split_folders()
    (folder / "around").mkdir()
    (folder / "train").rename(folder / "around" / "train")
    with pytest.raises(BadInput, match=f"has only one subfolder, train.* name {folder}/around/train"):
        check(Spec(FolderSource(folder / "around")))
