import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import BuiltSplit, FolderSource, build, progress
from datasets.imagedb.images.decoding import decode_record, read_array
from datasets.imagedb.store.records import RecordReader
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits, write_photos

ALWAYS = {"build.log", "labels.txt", "mean.npy", "mean.png", "train.rec", "train.idx", "train.txt"}
VAL = {"val.rec", "val.idx", "val.txt"}


@pytest.fixture
def images(tmp_path):
    return write_digits(tmp_path / "images", {0: 12, 1: 8, 2: 20})


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "job"


def names(directory):
    return {path.name for path in directory.iterdir()}


def records(directory, split):
    """[(label, pixels)] of a split."""
    with RecordReader(directory / f"{split}.rec") as reader:
        return [(label, decode_record(payload)) for label, payload in (reader[number] for number in range(len(reader)))]


def listed(directory, split):
    """[(path, label)] of a split."""
    lines = (directory / f"{split}.txt").read_bytes().splitlines()
    return [(Path(os.fsdecode(path)), int(label)) for path, label in (line.rsplit(b" ", 1) for line in lines)]


def spoil(path):
    """Cut the file in half."""
    os.truncate(path, path.stat().st_size // 2)


def test_a_folder_of_digits_becomes_databases(images, directory):
    built = build(spec_of(images), directory, ignore_progress)
    assert built.categories == ["0", "1", "2"]
    assert built.splits == [BuiltSplit("train", 30, [9, 6, 15]), BuiltSplit("val", 10, [3, 2, 5])]
    assert (built.skipped, built.warnings) == (0, [])
    assert names(directory) == ALWAYS | VAL
    assert (directory / "labels.txt").read_text() == "0\n1\n2\n"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_record_is_the_image_that_the_list_names(images, directory, split):
    built = build(spec_of(images, pct_test=10), directory, ignore_progress)
    lines, stored = listed(directory, split), records(directory, split)
    assert len(lines) == len(stored) > 0
    for (path, listed_label), (label, pixels) in zip(lines, stored, strict=True):
        assert built.categories[int(label)] == built.categories[listed_label] == path.parent.name
        np.testing.assert_array_equal(pixels, read_array(path, 8, 8, 1, "squash"))


@pytest.mark.parametrize("encoding, tolerance", [("none", 0), ("png", 0), ("jpg", 3)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize_mode", ["squash", "half_crop"])
def test_photos_are_stored_as_asked(tmp_path, directory, encoding, tolerance, channels, resize_mode):
    photos = write_photos(tmp_path / "photos", 2, 3)
    wanted = spec_of(photos, width=60, height=50, channels=channels, encoding=encoding, resize_mode=resize_mode)
    build(wanted, directory, ignore_progress)
    (path, _), *_ = listed(directory, "train")
    (_, pixels), *_ = records(directory, "train")
    assert pixels.shape == (50, 60, channels)
    expected = read_array(path, 60, 50, channels, resize_mode)
    assert np.abs(pixels.astype(int) - expected).mean() <= tolerance


def test_the_mean_is_that_of_the_train_split(tmp_path, directory):
    built = build(
        spec_of(write_photos(tmp_path / "photos", 2, 5), channels=3, width=20, height=10), directory, ignore_progress
    )
    expected = np.mean([pixels for _, pixels in records(directory, "train")], axis=0)
    mean = np.load(directory / "mean.npy")
    assert (mean.shape, mean.dtype) == ((3, 10, 20), np.float32)
    np.testing.assert_allclose(mean, expected.transpose(2, 0, 1), rtol=1e-6)
    np.testing.assert_allclose(built.mean_pixel, expected.mean(axis=(0, 1)))
    np.testing.assert_array_equal(np.asarray(Image.open(directory / "mean.png")), np.rint(expected))


def test_the_same_seed_gives_the_same_bytes_however_many_workers(images, tmp_path):
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    build(spec_of(images, workers=1), first, ignore_progress)
    build(spec_of(images, workers=3), second, ignore_progress)
    build(spec_of(images, seed=1), other, ignore_progress)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in ALWAYS | VAL)
    assert (first / "train.rec").read_bytes() != (other / "train.rec").read_bytes()


def test_unreadable_images_are_skipped_counted_and_logged_with_the_reason(images, directory):
    spoil(images / "0" / "003.png")
    spoil(images / "2" / "007.png")
    (images / "1" / "text.png").write_text("no image")
    built = build(spec_of(images), directory, ignore_progress)
    assert built.skipped == 3
    assert sum(split.entries for split in built.splits) == 38
    log = (directory / "build.log").read_text()
    assert f"skipped {images}/0/003.png: damaged PNG: " in log
    assert f"skipped {images}/2/007.png: damaged PNG: " in log
    assert f"skipped {images}/1/text.png: its content is not" in log
    assert "3 images skipped" in log
    paths = {path.name for split in ("train", "val") for path, _ in listed(directory, split)}
    assert "007.png" not in {path.name for path, label in listed(directory, "train") if label == 2}
    assert "004.png" in paths


def test_images_that_vanish_change_or_are_cut_short_while_it_builds_are_skipped_with_the_reason(
    images, directory, monkeypatch
):
    gone, cut, changed = sorted((images / "2").iterdir())[:3]

    def report(fraction):
        if fraction >= 0.05 and gone.exists():  # all are found, none is read
            gone.unlink()
            spoil(cut)
            changed.write_text("no image")

    monkeypatch.setattr(progress, "_INTERVAL", 0)
    built = build(spec_of(images), directory, report)
    assert built.skipped == 3
    log = (directory / "build.log").read_text()
    assert all(str(path) in log for path in (gone, cut, changed))
    kept = [path for split in ("train", "val") for path, _ in listed(directory, split)]
    assert len(kept) == len(records(directory, "train")) + len(records(directory, "val")) == 37
    assert not {gone, cut, changed} & set(kept)


def test_a_category_without_a_readable_image_is_dropped_and_labels_close_up(images, directory):
    for path in (images / "1").iterdir():
        spoil(path)
    built = build(spec_of(images), directory, ignore_progress)
    assert built.categories == ["0", "2"]
    assert built.splits == [BuiltSplit("train", 24, [9, 15]), BuiltSplit("val", 8, [3, 5])]
    assert built.warnings == ["Dropped, since no image for training could be read: 1."]
    assert (directory / "labels.txt").read_text() == "0\n2\n"
    for split in ("train", "val"):
        assert [label for label, _ in records(directory, split)] == [label for _, label in listed(directory, split)]
        assert {(path.parent.name, label) for path, label in listed(directory, split)} == {("0", 0), ("2", 1)}


def test_nothing_readable_is_the_users_error_with_an_example(images, directory):
    for path in images.glob("*/*.png"):
        spoil(path)
    with pytest.raises(BadInput, match=r"None of the images for training could be read\. /.*png: damaged PNG"):
        build(spec_of(images), directory, ignore_progress)
    assert names(directory) == set()


def test_one_readable_category_is_the_users_error(images, directory):
    for path in [*(images / "0").iterdir(), *(images / "2").iterdir()]:
        spoil(path)
    with pytest.raises(BadInput, match=r"Only one category has images .* None of: 0, 2\. /.*damaged PNG"):
        build(spec_of(images), directory, ignore_progress)
    assert names(directory) == set()


def test_validation_and_test_may_have_folders_of_their_own(images, tmp_path, directory):
    val = FolderSource(write_digits(tmp_path / "val", {0: 3, 2: 4, 7: 5}))
    test = FolderSource(write_digits(tmp_path / "test", {1: 6}))
    built = build(spec_of(images, val=val, test=test), directory, ignore_progress)
    assert built.splits == [
        BuiltSplit("train", 40, [12, 8, 20]),
        BuiltSplit("val", 7, [3, 0, 4]),
        BuiltSplit("test", 6, [0, 6, 0]),
    ]
    assert built.warnings == [
        "Left out of val, since train does not have them: 7.",
        "Without images in val: 1.",
        "Without images in test: 0, 2.",
    ]
    assert Counter(label for label, _ in records(directory, "val")) == {0: 3, 2: 4}


def test_a_validation_folder_in_which_nothing_can_be_read_is_a_warning_and_no_split(images, tmp_path, directory):
    val = write_digits(tmp_path / "val", {0: 3, 1: 3, 2: 3})
    for path in val.glob("*/*"):
        spoil(path)
    built = build(spec_of(images, val=FolderSource(val)), directory, ignore_progress)
    assert [split.name for split in built.splits] == ["train"]
    assert built.warnings == ["The val split is empty: none of its images could be read."]
    assert names(directory) == ALWAYS


def test_without_a_share_there_is_no_validation_split(images, directory):
    built = build(spec_of(images, pct_val=0), directory, ignore_progress)
    assert built.splits == [BuiltSplit("train", 40, [12, 8, 20])]
    assert names(directory) == ALWAYS


def test_what_an_earlier_attempt_left_is_replaced_and_other_files_stay(images, directory):
    (directory / "building").mkdir(parents=True)
    for name in ("building/train.rec.part", "val.rec", "test.rec", "log.txt"):
        (directory / name).write_text("left over")
    build(spec_of(images, pct_val=0), directory, ignore_progress)
    assert names(directory) == ALWAYS | {"log.txt"}


def test_names_of_any_bytes_and_suffix_make_it_into_the_list(images, directory):
    source = images / "0" / "000.png"
    odd = Path(os.fsdecode(os.fsencode(source.parent) + b"/\xff \xe2\x82\xac"))
    source.rename(odd)
    build(spec_of(images, pct_val=0), directory, ignore_progress)
    assert (odd, 0) in listed(directory, "train")


def test_the_log_sums_up(images, directory):
    build(spec_of(images), directory, ignore_progress)
    assert (directory / "build.log").read_text().splitlines() == [
        "3 categories: 0, 1, 2",
        "train: 30 images, 6 to 15 a category",
        "val: 10 images, 2 to 5 a category",
        "0 images skipped",
    ]
