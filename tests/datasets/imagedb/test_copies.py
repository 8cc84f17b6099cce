"""Exact copies of images: they are put into one split, and reported."""

import os
import re
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import FolderSource, TextSource, build
from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.copies import find
from datasets.imagedb.dealer import Dealer
from datasets.imagedb.readers.folder import scan
from datasets.imagedb.readers.listing import ListingWriter
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits


@pytest.fixture
def images(tmp_path):
    return write_digits(tmp_path / "images", {0: 24, 1: 24})


def splits_of(directory):
    """{path: split}"""
    lines = {name: (directory / f"{name}.txt").read_text().splitlines() for name in ("train", "val")}
    return {line.rsplit(" ", 1)[0]: name for name, split_lines in lines.items() for line in split_lines}


def find_groups(folder, tmp_path):
    """The number of the group of copies of each image (-1: no copy), and the paths of the images."""
    with BuildLog(tmp_path / "log") as log:
        listing = scan(folder, tmp_path / "paths", log, ignore_progress)
    return find([listing], lambda: None)[0].tolist(), [os.fsdecode(listing.path(i)) for i in range(len(listing))]


def test_finding_copies_takes_few_bytes_an_image(tmp_path):
    number = 100_000
    with ListingWriter(tmp_path, tmp_path / "paths") as writer:
        for image in range(number):
            writer.add(f"{tmp_path}/{image}")
        writer.end_category("c")
        listing = writer.listing()
    digests = np.random.default_rng(0).bytes(16 * number)
    for image in range(number):
        listing.summaries.add(digests[16 * image : 16 * image + 16] + b"\3")
    tracemalloc.start()
    [groups] = find([listing], lambda: None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (groups == -1).all()
    assert most < 24 * number  # beside the digests themselves


@pytest.mark.slow
def test_copies_of_an_image_are_in_one_split_for_every_seed(images, tmp_path):
    for number in range(12):
        shutil.copy(images / "0" / f"{number:03}.png", images / "0" / f"copy {number}.png")
    results = set()
    for seed in range(4):
        built = build(spec_of(images, seed=seed, pct_val=50), tmp_path / str(seed), ignore_progress)
        split_by_path = splits_of(tmp_path / str(seed))
        pairs = [
            (split_by_path[f"{images}/0/{n:03}.png"], split_by_path[f"{images}/0/copy {n}.png"]) for n in range(12)
        ]
        assert all(first == second for first, second in pairs)
        assert built.copies["images"] == 24
        assert (built.copies["pictures"], built.copies["in_two_splits"]) == (12, 0)
        assert abs(built.splits[1].per_category[0] - 18) <= 1
        results.add(tuple(pairs))
    assert len(results) > 1


def test_a_dataset_without_copies_is_split_as_in_earlier_versions(images, tmp_path):
    built = build(spec_of(images, seed=7), tmp_path / "job", ignore_progress)
    assert built.copies == {}
    assert [path[-9:-4] for path, split in splits_of(tmp_path / "job").items() if split == "val"] == [
        "0/011", "0/016", "0/000", "0/022", "0/018", "0/004", "1/018", "1/000", "1/011", "1/008", "1/019", "1/012",
    ]  # fmt: skip


def test_copies_in_two_categories_are_reported_and_put_into_train(images, tmp_path):
    for number in range(8):
        shutil.copy(images / "0" / f"{number:03}.png", images / "1" / f"copy {number}.png")
    built = build(spec_of(images, pct_val=50), tmp_path / "job", ignore_progress)
    split_by_path = splits_of(tmp_path / "job")
    assert {split_by_path[f"{images}/0/{n:03}.png"] for n in range(8)} == {"train"}
    assert {split_by_path[f"{images}/1/copy {n}.png"] for n in range(8)} == {"train"}
    assert [split.per_category for split in built.splits] == [[12, 16], [12, 16]]
    assert (built.copies["in_two_categories"], built.copies["in_two_splits"]) == (8, 0)
    assert "In more than one category: 8 of these pictures, such as" in built.copies["remarks"][1]
    log = (tmp_path / "job" / "build.log").read_text()
    assert f"copies: {images}/0/000.png = {images}/1/copy 0.png\n" in log


def test_a_category_of_copies_goes_to_train_and_the_empty_split_is_a_warning(tmp_path):
    folder = write_digits(tmp_path / "images", {0: 1, 1: 1})
    for digit in ("0", "1"):
        for number in range(1, 8):
            shutil.copy(folder / digit / "000.png", folder / digit / f"{number:03}.png")
    built = build(spec_of(folder), tmp_path / "job", ignore_progress)
    assert [split.per_category for split in built.splits] == [[8, 8]]
    assert built.warnings == ["The val split is empty: the images of each category are copies of one another."]


def test_copies_in_separate_split_folders_are_kept_and_reported(images, tmp_path):
    val = tmp_path / "val"
    shutil.copytree(images / "0", val / "0")
    built = build(spec_of(images, val=FolderSource(val)), tmp_path / "job", ignore_progress)
    assert [split.entries for split in built.splits] == [48, 24]
    assert (built.copies["images"], built.copies["in_two_splits"]) == (48, 24)
    paths = re.search(r"such as (.*) and (.*)\. The accuracy", built.copies["remarks"][1])
    assert paths[1].replace(str(images), str(val)) == paths[2]


def test_copies_in_two_lists_are_reported(images, tmp_path):
    def text_source(name, text):
        (tmp_path / name).write_text(text)
        return TextSource(tmp_path / name, name, images)

    lines = "".join(f"{digit}/{n:03}.png {digit}\n" for digit in (0, 1) for n in range(6))
    sources = {
        "train": text_source("train.txt", lines),
        "val": text_source("val.txt", "0/001.png 0\n1/009.png 1\n0/002.png 1\n"),
    }
    built = build(
        spec_of(images, **sources, labels=text_source("labels.txt", "a\nb\n"), split_groups="off"),
        tmp_path / "job",
        ignore_progress,
    )
    assert [split.entries for split in built.splits] == [12, 3]
    assert (built.copies["in_two_splits"], built.copies["in_two_categories"]) == (2, 1)


def test_files_of_one_size_with_the_same_end_are_no_copies(tmp_path):
    rng = np.random.default_rng(1)
    for category in ("a", "b"):
        (tmp_path / "images" / category).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((90, 90, 3), 255, np.uint8)
            pixels[-8:] = rng.integers(0, 255, (8, 90, 3))  # a BMP file starts with the last row
            Image.fromarray(pixels).save(tmp_path / "images" / category / f"{number}.bmp")
    shutil.copy(tmp_path / "images" / "a" / "0.bmp", tmp_path / "images" / "b" / "9.bmp")
    groups, paths = find_groups(tmp_path / "images", tmp_path)
    assert len({path.stat().st_size for path in (tmp_path / "images").rglob("*.bmp")}) == 1
    assert [path[-7:] for path, group in zip(paths, groups, strict=True) if group >= 0] == ["a/0.bmp", "b/9.bmp"]


def test_links_to_one_file_are_copies(images, tmp_path):
    os.link(images / "0" / "000.png", images / "0" / "hard.png")
    (images / "1" / "soft.png").symlink_to(images / "0" / "000.png")
    groups, _ = find_groups(images, tmp_path)
    assert sum(group >= 0 for group in groups) == 3


@pytest.mark.parametrize(
    "groups, sizes, shares",
    [
        ([-1] * 8, (6, 2, 0), [6, 2, 0]),
        ([0, -1, -1, -1, 0, -1, -1, -1], (6, 2, 0), [6, 2, 0]),
        ([0, 0, 1, 1], (3, 1, 0), [2, 2, 0]),
        ([0, 0, 0, 0, 0, 0], (4, 2, 0), [6, 0, 0]),
        ([0, 0, 0, -1], (1, 3, 0), [3, 1, 0]),
        ([-1, 0, -1, 0, 1, 1], (2, 2, 2), [1, 3, 2]),
    ],
)
def test_groups_of_copies_are_assigned_to_splits_and_train_is_never_empty(groups, sizes, shares):
    images = np.arange(len(groups), dtype=np.int32)
    groups = np.array(groups, np.int32)
    assigned = Dealer(groups, [images]).shares(images, sizes)
    assert [len(share) for share in assigned] == shares
    assert sorted(np.concatenate(assigned).tolist()) == images.tolist()
    for group in range(groups.max() + 1):
        assert sum((groups[share] == group).any() for share in assigned) == 1


def test_copies_in_two_categories_do_not_change_the_shares_of_other_images():
    groups = np.array([0, 1, 2, -1, -1, -1, 0, 1, 2, -1, -1], np.int32)
    first, second = np.arange(6, dtype=np.int32), np.arange(6, 11, dtype=np.int32)
    dealer = Dealer(groups, [first, second])
    assert [share.tolist() for share in dealer.shares(first, (3, 2, 1))] == [[0, 1, 2], [3, 4], [5]]
    assert [share.tolist() for share in dealer.shares(second, (1, 2, 2))] == [[6, 7, 8], [9], [10]]
