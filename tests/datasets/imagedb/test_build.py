"""Builds of image databases: records, lists, mean image, log, skipped images and splits."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import BuiltSplit, FolderSource, TextSource, build, progress
from datasets.imagedb.images.decoding import decode_record, read_array
from datasets.imagedb.store.records import RecordReader
from digits_project.common.errors import BadInput
from tests.support.damage import cut_in_half
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits, write_photos

TRAIN_FILES = {"build.log", "labels.txt", "mean.npy", "mean.png", "train.rec", "train.idx", "train.txt", "train.sizes"}
VAL_FILES = {"val.rec", "val.idx", "val.txt", "val.sizes"}


@pytest.fixture
def images(tmp_path):
    return write_digits(tmp_path / "images", {0: 12, 1: 8, 2: 20})


def file_names(directory):
    return {path.name for path in directory.iterdir()}


def read_records(directory, split):
    """[(label, pixels)] of a split."""
    with RecordReader(directory / f"{split}.rec") as reader:
        return [(label, decode_record(payload)) for label, payload in (reader[number] for number in range(len(reader)))]


def read_list(directory, split):
    """[(path, label)] of a split."""
    lines = (directory / f"{split}.txt").read_bytes().splitlines()
    return [(Path(os.fsdecode(path)), int(label)) for path, label in (line.rsplit(b" ", 1) for line in lines)]


def test_a_build_writes_a_database_for_each_split(images, directory):
    built = build(spec_of(images), directory, ignore_progress)
    assert built.categories == ["0", "1", "2"]
    assert built.splits == [BuiltSplit("train", 30, [9, 6, 15]), BuiltSplit("val", 10, [3, 2, 5])]
    assert (built.skipped, built.warnings) == (0, [])
    assert file_names(directory) == TRAIN_FILES | VAL_FILES
    assert (directory / "labels.txt").read_text() == "0\n1\n2\n"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_record_holds_the_image_of_its_line_in_the_list(images, directory, split):
    built = build(spec_of(images, pct_test=10), directory, ignore_progress)
    lines, stored = read_list(directory, split), read_records(directory, split)
    assert len(lines) == len(stored) > 0
    for (path, line_label), (label, pixels) in zip(lines, stored, strict=True):
        assert built.categories[int(label)] == built.categories[line_label] == path.parent.name
        np.testing.assert_array_equal(pixels, read_array(path, 8, 8, 1, "squash"))


@pytest.mark.parametrize("encoding, tolerance", [("none", 0), ("png", 0), ("jpg", 3)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize_mode", ["squash", "half_crop"])
def test_a_build_stores_photos_with_the_given_size_channels_and_encoding(
    tmp_path, directory, encoding, tolerance, channels, resize_mode
):
    photos = write_photos(tmp_path / "photos", 2, 3)
    spec = spec_of(photos, width=60, height=50, channels=channels, encoding=encoding, resize_mode=resize_mode)
    build(spec, directory, ignore_progress)
    (path, _), *_ = read_list(directory, "train")
    (_, pixels), *_ = read_records(directory, "train")
    assert pixels.shape == (50, 60, channels)
    expected = read_array(path, 60, 50, channels, resize_mode)
    assert np.abs(pixels.astype(int) - expected).mean() <= tolerance


def test_the_mean_image_is_computed_from_the_train_split(tmp_path, directory):
    built = build(
        spec_of(write_photos(tmp_path / "photos", 2, 5), channels=3, width=20, height=10), directory, ignore_progress
    )
    expected = np.mean([pixels for _, pixels in read_records(directory, "train")], axis=0)
    mean = np.load(directory / "mean.npy")
    assert (mean.shape, mean.dtype) == ((3, 10, 20), np.float32)
    np.testing.assert_allclose(mean, expected.transpose(2, 0, 1), rtol=1e-6)
    np.testing.assert_allclose(built.mean_pixel, expected.mean(axis=(0, 1)))
    np.testing.assert_array_equal(np.asarray(Image.open(directory / "mean.png")), np.rint(expected))


def test_a_build_with_the_same_seed_writes_the_same_bytes_for_any_number_of_workers(images, tmp_path):
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    build(spec_of(images, workers=1), first, ignore_progress)
    build(spec_of(images, workers=3), second, ignore_progress)
    build(spec_of(images, seed=1), other, ignore_progress)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in TRAIN_FILES | VAL_FILES)
    assert (first / "train.rec").read_bytes() != (other / "train.rec").read_bytes()


def test_unreadable_images_are_skipped_and_logged_with_the_reason(images, directory):
    cut_in_half(images / "0" / "003.png")
    cut_in_half(images / "2" / "007.png")
    (images / "1" / "text.png").write_text("no image")
    built = build(spec_of(images), directory, ignore_progress)
    assert built.skipped == 3
    assert sum(split.entries for split in built.splits) == 38
    log = (directory / "build.log").read_text()
    assert f"skipped {images}/0/003.png: damaged PNG: " in log
    assert f"skipped {images}/2/007.png: damaged PNG: " in log
    assert f"skipped {images}/1/text.png: its content is not" in log
    assert "3 images skipped" in log
    paths = {path.name for split in ("train", "val") for path, _ in read_list(directory, split)}
    assert "007.png" not in {path.name for path, label in read_list(directory, "train") if label == 2}
    assert "004.png" in paths


def test_images_deleted_or_damaged_during_a_build_are_skipped_with_the_reason(images, directory, monkeypatch):
    deleted, truncated, overwritten = sorted((images / "2").iterdir())[:3]

    def report(fraction):
        if fraction >= 0.05 and deleted.exists():  # all images are found, none has been read
            deleted.unlink()
            cut_in_half(truncated)
            overwritten.write_text("no image")

    monkeypatch.setattr(progress, "_INTERVAL", 0)
    built = build(spec_of(images), directory, report)
    assert built.skipped == 3
    log = (directory / "build.log").read_text()
    assert all(str(path) in log for path in (deleted, truncated, overwritten))
    kept = [path for split in ("train", "val") for path, _ in read_list(directory, split)]
    assert len(kept) == len(read_records(directory, "train")) + len(read_records(directory, "val")) == 37
    assert not {deleted, truncated, overwritten} & set(kept)


def test_a_category_without_a_readable_image_is_dropped_and_labels_are_renumbered(images, directory):
    for path in (images / "1").iterdir():
        cut_in_half(path)
    built = build(spec_of(images), directory, ignore_progress)
    assert built.categories == ["0", "2"]
    assert built.splits == [BuiltSplit("train", 24, [9, 15]), BuiltSplit("val", 8, [3, 5])]
    assert built.warnings == ["Left out, because no image for training could be read: 1."]
    assert (directory / "labels.txt").read_text() == "0\n2\n"
    for split in ("train", "val"):
        assert [label for label, _ in read_records(directory, split)] == [
            label for _, label in read_list(directory, split)
        ]
        assert {(path.parent.name, label) for path, label in read_list(directory, split)} == {("0", 0), ("2", 1)}


def test_val_images_of_a_dropped_category_are_not_reported(images, directory):
    val = write_digits(directory.parent / "folder for val", {0: 4, 1: 4, 2: 4})
    for path in [*(images / "1").iterdir(), *(val / "1").iterdir()]:
        cut_in_half(path)
    built = build(spec_of(images, val=FolderSource(val)), directory, ignore_progress)
    assert built.skipped == 8
    assert built.splits[1] == BuiltSplit("val", 8, [4, 4])
    assert f"skipped {val}" not in (directory / "build.log").read_text()


def test_the_log_names_images_in_the_order_of_reading(directory, tmp_path):
    paths = sorted(write_digits(tmp_path / "images", {0: 12, 1: 8}, ".jpg").glob("*/*"))
    for number, path in enumerate(paths):
        path.write_bytes(
            path.read_bytes()[: -100 if number % 2 else -2]
        )  # without pixels, or only without the end mark
    (tmp_path / "list").write_text("".join(f"{path} {path.parent.name}\n" for path in paths))
    (tmp_path / "labels").write_text("0\n1\n")
    lists = {name: TextSource(tmp_path / name, name) for name in ("list", "labels")}
    spec = spec_of(tmp_path, train=lists["list"], labels=lists["labels"], shuffle=False)
    assert build(spec, directory, ignore_progress).skipped == 10
    lines = (directory / "build.log").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith(("kept", "skipped"))] == [f"{path}:" for path in paths]


def test_the_process_that_plans_a_build_opens_each_image_once(images, directory):
    script = f"""
import os, sys
from pathlib import Path
from datasets.imagedb import build
from tests.support.samples.imagedb_samples import ignore_progress, spec_of
opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "open" else None)
build(spec_of(Path({str(images)!r})), Path({str(directory)!r}), ignore_progress)
print(*(os.path.basename(path) for path in opened if isinstance(path, str)), sep="\\n")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    opened, expected = Counter(ran.stdout.splitlines()), Counter(path.name for path in images.glob("*/*"))
    assert {name: opened[name] for name in expected} == expected


def test_a_build_without_readable_images_is_bad_input_with_an_example(images, directory):
    for path in images.glob("*/*.png"):
        cut_in_half(path)
    with pytest.raises(BadInput, match=r"None of the images for training could be read\. /.*png: damaged PNG"):
        build(spec_of(images), directory, ignore_progress)
    assert file_names(directory) == set()


def test_a_build_with_one_readable_category_is_bad_input(images, directory):
    for path in [*(images / "0").iterdir(), *(images / "2").iterdir()]:
        cut_in_half(path)
    with pytest.raises(
        BadInput, match=r"Only one category has readable images .* Categories without any: 0, 2\. /.*damaged PNG"
    ):
        build(spec_of(images), directory, ignore_progress)
    assert file_names(directory) == set()


def test_validation_and_test_can_have_their_own_folders(images, tmp_path, directory):
    val = FolderSource(write_digits(tmp_path / "val", {0: 3, 2: 4, 7: 5}))
    test = FolderSource(write_digits(tmp_path / "test", {1: 6}))
    built = build(spec_of(images, val=val, test=test), directory, ignore_progress)
    assert built.splits == [
        BuiltSplit("train", 40, [12, 8, 20]),
        BuiltSplit("val", 7, [3, 0, 4]),
        BuiltSplit("test", 6, [0, 6, 0]),
    ]
    assert built.warnings == [
        "Left out of val, because train has no such category: 7.",
        "Without images in val: 1.",
        "Without images in test: 0, 2.",
    ]
    assert Counter(label for label, _ in read_records(directory, "val")) == {0: 3, 2: 4}


def test_a_validation_folder_without_readable_images_is_a_warning(images, tmp_path, directory):
    val = write_digits(tmp_path / "val", {0: 3, 1: 3, 2: 3})
    for path in val.glob("*/*"):
        cut_in_half(path)
    built = build(spec_of(images, val=FolderSource(val)), directory, ignore_progress)
    assert [split.name for split in built.splits] == ["train"]
    assert built.warnings == ["The val split is empty: none of its images could be read."]
    assert file_names(directory) == TRAIN_FILES


def test_a_share_of_zero_creates_no_validation_split(images, directory):
    built = build(spec_of(images, pct_val=0), directory, ignore_progress)
    assert built.splits == [BuiltSplit("train", 40, [12, 8, 20])]
    assert file_names(directory) == TRAIN_FILES


def test_a_build_replaces_files_of_an_earlier_attempt_and_keeps_others(images, directory):
    (directory / "building").mkdir(parents=True)
    for name in ("building/train.rec.part", "val.rec", "test.rec", "log.txt"):
        (directory / name).write_text("left over")
    build(spec_of(images, pct_val=0), directory, ignore_progress)
    assert file_names(directory) == TRAIN_FILES | {"log.txt"}


def test_file_names_that_are_not_utf_8_are_in_the_list(images, directory):
    source = images / "0" / "000.png"
    odd_name = Path(os.fsdecode(os.fsencode(source.parent) + b"/\xff \xe2\x82\xac"))
    source.rename(odd_name)
    build(spec_of(images, pct_val=0), directory, ignore_progress)
    assert (odd_name, 0) in read_list(directory, "train")


def test_the_build_log_lists_categories_splits_and_skipped_images(images, directory):
    build(spec_of(images), directory, ignore_progress)
    assert (directory / "build.log").read_text().splitlines() == [
        "3 categories: 0, 1, 2",
        "train: 30 images, 6 to 15 a category",
        "val: 10 images, 2 to 5 a category",
        "0 images skipped",
    ]
