"""Which images share a split: exact copies, and those whose paths name the same group."""

from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import FolderSource, Spec, TextSource, build, check_lists
from digits_project.common.errors import BadInput


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(pixels).save(path)


def split_of(built_in):
    """{path: split} of a built dataset."""
    lists = {name: built_in / f"{name}.txt" for name in ("train", "val", "test")}
    return {
        line.rpartition(" ")[0]: name
        for name, path in lists.items()
        if path.exists()
        for line in path.read_text().splitlines()
    }


@pytest.fixture
def make(tmp_path):
    """A function that builds a dataset and returns its warnings, and the split of each image."""

    def make(train, **options):
        spec = Spec(train, width=8, height=8, channels=1, workers=1, **options)
        built = build(spec, tmp_path / "built", lambda fraction: None)
        return built.warnings, split_of(tmp_path / "built")

    return make


@pytest.fixture
def folders(tmp_path):
    """A folder to train on and one to validate with, whose first image is a copy of the first one of the other."""
    for number in range(8):
        for seed, split in enumerate(("train", "val")):
            write_image(tmp_path / split / f"{number % 2}" / f"{number}.png", seed=number + 100 * seed)
    write_image(tmp_path / "val/0/0.png", seed=0)
    return FolderSource(tmp_path / "train"), FolderSource(tmp_path / "val")


def test_a_copy_of_a_training_image_is_left_out_of_the_folder_for_validation(make, folders, tmp_path):
    train, val = folders
    warnings, splits = make(train, val=val)
    assert str(tmp_path / "val/0/0.png") not in splits
    assert len(splits) == 15
    assert any("Left out of val: 1 image whose copy or group is in another split" in warning for warning in warnings)


def test_a_copy_stays_where_it_is_if_split_groups_is_off(make, folders, tmp_path):
    train, val = folders
    warnings, splits = make(train, val=val, split_groups="off")
    assert splits[str(tmp_path / "val/0/0.png")] == "val"
    assert warnings == []


def test_a_copy_of_a_training_image_is_left_out_of_a_list_for_validation(make, folders, tmp_path):
    lists = {}
    for split in ("train", "val"):
        paths = sorted((tmp_path / split).rglob("*.png"))
        lists[split] = tmp_path / f"{split}.txt"
        lists[split].write_text("".join(f"{path} {path.parent.name}\n" for path in paths))
    labels = tmp_path / "labels.txt"
    labels.write_text("0\n1\n")
    sources = {name: TextSource(path, path.name) for name, path in lists.items()}
    _, splits = make(sources["train"], val=sources["val"], labels=TextSource(labels, "labels.txt"))
    assert str(tmp_path / "val/0/0.png") not in splits
    assert len(splits) == 15


@pytest.fixture
def lists_with_groups(folders, tmp_path):
    """Lists to train on and to validate with; each line ends with a patient, of whom number 3 is in both."""
    for split, patients in (("train", "0123"), ("val", "3456")):
        paths = sorted((tmp_path / split).rglob("*.png"))[1:]  # without the copy
        lines = [f"{path} {path.parent.name} p{patients[number % 4]}\n" for number, path in enumerate(paths)]
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    (tmp_path / "labels.txt").write_text("0\n1\n")
    return {name: TextSource(tmp_path / f"{name}.txt", f"{name}.txt") for name in ("train", "val", "labels")}


def test_images_of_a_patient_that_a_column_of_lists_names_share_a_split(make, lists_with_groups):
    warnings, splits = make(**lists_with_groups, split_groups="column")
    assert list(splits.values()).count("train") == 7
    assert list(splits.values()).count("val") == 5
    assert any("Left out of val: 2 images whose copy or group is in another split" in warning for warning in warnings)


def test_a_line_without_its_group_is_refused(lists_with_groups, tmp_path):
    (tmp_path / "val.txt").write_text("/x/1.png 0 p1\n/x/2.png 1\n")
    wrong = check_lists(Spec(**lists_with_groups, split_groups="column"))
    assert wrong["val"].startswith("Line 2 of val.txt is '/x/2.png 1'; with split_groups=column it must be a path")


def test_a_folder_has_no_column_of_groups(tmp_path):
    with pytest.raises(BadInput, match="split_groups=column is for lists of images"):
        Spec(FolderSource(tmp_path), split_groups="column")


def test_images_of_a_patient_share_a_split_in_all_categories(make, tmp_path):
    for number in range(60):
        write_image(tmp_path / "x" / ("ill", "well")[number % 2] / f"p{number // 4}_{number}.png", seed=number)
    _, splits = make(FolderSource(tmp_path / "x"), split_groups="*/{group}_*", pct_val=25, pct_test=25)
    splits_of = defaultdict(set)
    for path, split in splits.items():
        splits_of[path.rpartition("/")[2].split("_")[0]].add(split)
    assert len(splits_of) == 15
    assert {len(found) for found in splits_of.values()} == {1}
    shares = [list(splits.values()).count(split) for split in ("train", "val", "test")]
    assert all(abs(share - wanted) <= 4 for share, wanted in zip(shares, (28, 16, 16), strict=True))


@pytest.mark.parametrize("pattern", ["patient", "{group}{group}", "*****{group}"])
def test_a_pattern_that_names_no_group_is_refused(pattern, tmp_path):
    with pytest.raises(BadInput, match="split_groups must be auto, off, column, or a pattern"):
        Spec(FolderSource(tmp_path), split_groups=pattern)
