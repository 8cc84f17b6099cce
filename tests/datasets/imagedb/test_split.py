"""Splitting a folder into train, val and test: shares, seed, limits per category, and separate folders."""

import os
import shutil

import numpy as np
import pytest

from datasets.imagedb import FolderSource, Spec
from datasets.imagedb.readers.folder import scan
from datasets.imagedb.split import deal, own_part, share_sizes
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import spec_of, write_digits


def scan_folder(folder, log):
    return scan(folder, folder.parent / "working-file", log, lambda fraction: None)


def split_folder(spec, log):
    """The categories, and {split: {path: label}} in the order of the split."""
    categories, parts = deal(scan_folder(spec.train.folder, log), spec, log, lambda: None)
    return categories, {part.name: paths(part) for part in parts}


def paths(part):
    labels = part.labels(part.images)
    return {os.fsdecode(part.listing.relative_path(i)): int(n) for i, n in zip(part.images, labels, strict=True)}


def per_category(split):
    return np.bincount(list(split.values())).tolist()


@pytest.mark.parametrize(
    "count, val, test, sizes",
    [
        (100, 25, 0, (75, 25, 0)),
        (100, 25, 10, (65, 25, 10)),
        (10, 25, 0, (7, 3, 0)),
        (2, 25, 0, (1, 1, 0)),
        (1, 25, 0, (1, 0, 0)),
        (1, 50, 0, (1, 0, 0)),
        (1, 99, 0, (1, 0, 0)),
        (3, 60, 39, (1, 1, 1)),
        (2, 50, 49, (1, 0, 1)),
        (100, 99.9, 0, (1, 99, 0)),
        (50, 0, 0, (50, 0, 0)),
        (0, 25, 25, (0, 0, 0)),
    ],
)
def test_split_sizes_are_rounded_and_train_keeps_one_image(count, val, test, sizes):
    assert share_sizes(count, val, test) == sizes


def test_every_category_is_split_by_the_shares_and_no_image_is_in_two_splits(tmp_path, log):
    folder = write_digits(tmp_path / "images", {0: 20, 1: 40, 2: 60})
    _, splits = split_folder(spec_of(folder, pct_val=25, pct_test=10), log)
    assert {name: per_category(split) for name, split in splits.items()} == {
        "train": [13, 26, 39],
        "val": [5, 10, 15],
        "test": [2, 4, 6],
    }
    assert len(set().union(*splits.values())) == 120


def test_the_label_of_an_image_is_the_category_of_its_folder(tmp_path, log):
    categories, splits = split_folder(spec_of(write_digits(tmp_path / "images", {3: 8, 5: 8})), log)
    assert categories == ["3", "5"]
    assert all(path.startswith(categories[label]) for split in splits.values() for path, label in split.items())


def test_the_seed_decides_the_split(tmp_path, log):
    folder = write_digits(tmp_path / "images", {0: 30, 1: 30})
    first, again, other = (split_folder(spec_of(folder, seed=seed), log)[1] for seed in (7, 7, 8))
    assert [list(split) for split in first.values()] == [list(split) for split in again.values()]
    assert set(first["val"]) != set(other["val"])


def test_the_split_does_not_depend_on_the_order_of_the_file_system(tmp_path, log):
    folder = write_digits(tmp_path / "images", {0: 30, 1: 30})
    backwards = tmp_path / "backwards"
    for image in sorted(folder.rglob("*.png"), reverse=True):
        copy = backwards / image.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, copy)
    assert list(split_folder(spec_of(folder), log)[1]["train"]) == list(
        split_folder(spec_of(backwards), log)[1]["train"]
    )


def test_the_train_split_mixes_the_categories(tmp_path, log):
    folder = write_digits(tmp_path / "images", dict.fromkeys(range(4), 30))
    labels = list(split_folder(spec_of(folder), log)[1]["train"].values())
    changes = np.count_nonzero(np.diff(labels))
    assert changes > len(labels) / 2


def test_a_category_below_the_minimum_is_omitted_with_a_warning(tmp_path, log):
    folder = write_digits(tmp_path / "images", {0: 10, 1: 4, 2: 10, 3: 5})
    categories, splits = split_folder(spec_of(folder, train=FolderSource(folder, min_per_class=5), pct_val=0), log)
    assert categories == ["0", "2", "3"]
    assert per_category(splits["train"]) == [10, 10, 5]
    assert log.warnings == ["Left out of train, because they have fewer than 5 images: 1."]


def test_a_category_above_the_maximum_is_sampled_with_the_seed(tmp_path, log):
    folder = write_digits(tmp_path / "images", {0: 60, 1: 10})
    specs = [spec_of(folder, train=FolderSource(folder, max_per_class=20), pct_val=0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (set(split_folder(spec, log)[1]["train"]) for spec in specs)
    assert len(first) == 30
    assert first == again != other


def test_the_images_of_a_sampled_category_are_spread_over_the_train_split(tmp_path, log):
    folder = write_digits(tmp_path / "images", {0: 100, 1: 20, 2: 20})
    limited = spec_of(folder, train=FolderSource(folder, max_per_class=20), pct_val=0)
    labels = np.array(list(split_folder(limited, log)[1]["train"].values()))
    assert (labels[:30] == 0).any()
    assert (labels[30:] == 0).any()


@pytest.mark.parametrize(
    "counts, minimum, message",
    [
        ({0: 5}, 2, "images holds images of one category only, 0; a classifier needs two"),
        ({0: 5, 1: 1}, 2, "fewer than two categories with at least 2 images; a classifier needs two"),
        ({0: 5, 1: 5}, 6, "fewer than two categories with at least 6 images; a classifier needs two"),
    ],
)
def test_a_split_of_fewer_than_two_categories_is_bad_input(tmp_path, log, counts, minimum, message):
    folder = write_digits(tmp_path / "images", counts)
    with pytest.raises(BadInput, match=message):
        split_folder(spec_of(folder, train=FolderSource(folder, min_per_class=minimum)), log)


def test_a_share_too_small_for_one_image_is_a_warning(tmp_path, log):
    _, splits = split_folder(spec_of(write_digits(tmp_path / "images", {0: 5, 1: 5}), pct_val=5), log)
    assert list(splits) == ["train"]
    assert log.warnings == ["The val split is empty: 5 % of each category is less than half an image."]


def test_a_separate_validation_folder_keeps_the_labels_of_train_and_omits_other_categories(tmp_path, log):
    own_folder = FolderSource(
        write_digits(tmp_path / "val", {1: 1, 2: 6, 3: 4, 9: 4}), min_per_class=2, max_per_class=5
    )
    spec = spec_of(tmp_path / "unused", val=own_folder)
    part = own_part("val", scan_folder(own_folder.folder, log), spec, ["0", "1", "2", "3"], log, lambda: None)
    assert per_category(paths(part)) == [0, 0, 5, 4]
    assert log.warnings == [
        "Left out of val, because train has no such category: 9.",
        "Left out of val, because they have fewer than 2 images: 1.",
        "Without images in val: 0, 1.",
    ]


def test_a_separate_validation_folder_without_a_category_of_train_is_bad_input(tmp_path, log):
    own_folder = FolderSource(write_digits(tmp_path / "val", {8: 4, 9: 4}))
    with pytest.raises(BadInput, match="val has no category of train"):
        own_part(
            "val", scan_folder(own_folder.folder, log), spec_of(tmp_path, val=own_folder), ["0", "1"], log, lambda: None
        )


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"pct_val": 100}, "share for validation must be from 0 to below 100 %, not 100 %"),
        ({"pct_val": -1}, "share for validation"),
        ({"pct_val": float("nan")}, "share for validation"),
        ({"pct_test": 100}, "share for test"),
        ({"pct_val": 60, "pct_test": 40}, "must together be below 100 %: otherwise no image is left for training"),
        ({"width": 0}, "image width must be from 1 to 4096 pixels, not 0"),
        ({"height": 100_000}, "image height must be from 1 to 4096 pixels, not 100000"),
        ({"channels": 2}, "number of channels must be one of 1, 3, not 2"),
        ({"resize_mode": "stretch"}, "resize mode must be one of crop, squash, fill, half_crop, not stretch"),
        ({"encoding": "gif"}, "encoding must be one of none, png, jpg, not gif"),
        ({"seed": -1}, "seed must not be negative"),
        ({"workers": 0}, "number of workers must be at least 1"),
    ],
)
def test_an_invalid_spec_is_bad_input(tmp_path, changes, message):
    with pytest.raises(BadInput, match=message):
        Spec(FolderSource(tmp_path), **changes)


@pytest.mark.parametrize(
    "minimum, maximum, message",
    [
        (0, None, "minimum of images per category must be at least 1, not 0"),
        (5, 4, r"maximum of images per category \(4\) must not be less than the minimum \(5\)"),
    ],
)
def test_invalid_limits_per_category_are_bad_input(tmp_path, minimum, maximum, message):
    with pytest.raises(BadInput, match=message):
        FolderSource(tmp_path, minimum, maximum)


def test_the_share_of_a_split_with_its_own_folder_is_ignored(tmp_path):
    spec = Spec(FolderSource(tmp_path), val=FolderSource(tmp_path), pct_val=100, pct_test=90)
    assert (spec.share_val, spec.share_test) == (0, 90)
