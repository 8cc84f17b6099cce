"""Folders of images: which files and subfolders are found, and which folders are rejected."""

import contextlib
import itertools
import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest

from datasets.imagedb import FolderSource, Spec, check
from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers.folder import scan
from datasets.imagedb.readers.recognition import Recognized, Recognizer
from digits_project.common.confined_files import EVERYWHERE, open_folder
from digits_project.common.errors import Aborted, BadInput
from tests.support.samples.imagedb_samples import write_digits

NOBODY = 65534


@pytest.fixture
def images(tmp_path):
    return write_digits(tmp_path / "images", {0: 3, 1: 2})


@contextlib.contextmanager
def without_root_permissions(images):
    """Run as an ordinary user, because root can read everything; opens pytest's folders for this user."""
    before = os.geteuid()
    images.parent.chmod(0o777)
    for folder in itertools.takewhile(lambda folder: folder != Path(tempfile.gettempdir()), images.parent.parents):
        folder.chmod(0o711)
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def find_images(folder, log):
    """{category: sorted paths of its images, relative to its folder}"""
    listing = scan(folder, folder.parent / "working-file", log, lambda fraction: None)
    paths = [os.fsdecode(listing.relative_path(image)) for image in range(len(listing))]
    return {
        name: sorted(path.removeprefix(f"{name}/") for path in paths[start:stop])
        for name, start, stop in zip(listing.names, listing.starts, listing.starts[1:], strict=False)
    }


def log_text(folder):
    return (folder.parent / "build.log").read_text()


def test_each_subfolder_is_a_category_in_sorted_order(images, log):
    (images / "0").rename(images / "zebra")
    assert find_images(images, log) == {"1": ["000.png", "001.png"], "zebra": ["000.png", "001.png", "002.png"]}


def test_a_scan_deletes_its_working_file(images, log):
    find_images(images, log)
    assert not (images.parent / "working-file").exists()


def test_images_in_subfolders_of_a_category_belong_to_it(images, log):
    subfolder = images / "0" / "a" / "b"
    subfolder.mkdir(parents=True)
    (images / "0" / "000.png").rename(subfolder / "deep.png")
    assert find_images(images, log)["0"] == ["001.png", "002.png", "a/b/deep.png"]


def test_images_are_found_by_content_not_by_suffix(images, log):
    (images / "0" / "000.png").rename(images / "0" / "picture.dat")
    (images / "0" / "README.txt").write_text("three zeros")
    (images / "0" / "notes.png").write_text("not a picture at all")
    (images / "0" / "empty.jpg").touch()
    assert find_images(images, log)["0"] == ["001.png", "002.png", "picture.dat"]
    assert log.skipped == 2
    assert "notes.png: its content is not that of a PNG" in log_text(images)
    assert "empty.jpg: the file is empty" in log_text(images)
    assert "README" not in log_text(images)


def test_hidden_files_and_folders_are_ignored(images, log):
    (images / "0" / "000.png").rename(images / "0" / ".000.png")
    (images / ".cache").mkdir()
    (images / "0" / "001.png").rename(images / ".cache" / "001.png")
    assert find_images(images, log) == {"0": ["002.png"], "1": ["000.png", "001.png"]}


def test_links_to_files_and_folders_are_followed(images, tmp_path, log):
    elsewhere = write_digits(tmp_path / "elsewhere", {7: 2})
    (images / "7").symlink_to(elsewhere / "7")
    (images / "0" / "more").symlink_to(elsewhere / "7")
    (images / "0" / "linked.png").symlink_to(elsewhere / "7" / "000.png")
    images_by_category = find_images(images, log)
    assert images_by_category["7"] == ["000.png", "001.png"]
    assert images_by_category["0"] == ["000.png", "001.png", "002.png", "linked.png", "more/000.png", "more/001.png"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../..", "/"])
def test_circular_links_are_not_followed(images, log, target):
    (images / "0" / "loop").symlink_to(target)
    assert find_images(images, log)["0"] == ["000.png", "001.png", "002.png"]


def test_a_folder_with_two_links_is_read_once(images, tmp_path, log):
    elsewhere = write_digits(tmp_path / "elsewhere", {7: 2})
    (images / "0" / "first").symlink_to(elsewhere / "7")
    (images / "0" / "second").symlink_to(elsewhere / "7")
    assert find_images(images, log)["0"] == ["000.png", "001.png", "002.png", "first/000.png", "first/001.png"]


def test_broken_links_are_skipped(images, log):
    (images / "0" / "gone.png").symlink_to("nowhere.png")
    (images / "0" / "itself.png").symlink_to("itself.png")
    (images / "itself").symlink_to("itself")  # in the place of a category
    assert find_images(images, log)["0"] == ["000.png", "001.png", "002.png"]
    assert log.skipped == 3


def test_file_names_that_are_not_utf_8_are_found(images, log):
    source = images / "0" / "000.png"
    source.rename(os.fsdecode(os.fsencode(source.parent) + b"/\xff\xfe.png"))
    assert find_images(images, log)["0"][-1] == "\udcff\udcfe.png"


def test_a_file_name_with_a_line_break_is_skipped(images, log):
    (images / "0" / "000.png").rename(images / "0" / "two\nlines.png")
    assert find_images(images, log)["0"] == ["001.png", "002.png"]
    assert "two\\nlines.png: its name has a line break" in log_text(images)


def test_an_unreadable_subfolder_is_a_warning(images, log):
    unreadable = images / "0" / "closed"
    unreadable.mkdir(mode=0)
    with without_root_permissions(images):
        listing = scan(images, images.parent / "working-file", log, lambda fraction: None)
    assert len(listing) == 5
    assert log.warnings == [f"{unreadable} can't be read: Permission denied."]


def test_an_unreadable_folder_is_bad_input(images, log):
    images.chmod(0)
    with (
        without_root_permissions(images),
        pytest.raises(BadInput, match=r"images can't be read: permission denied\. Let"),
    ):
        scan(images, images.parent / "working-file", log, lambda fraction: None)
    images.chmod(0o700)


@pytest.mark.parametrize(
    "path, message",
    [
        ("missing", r"missing does not exist\. Name a folder"),
        ("images/0/000.png", r"000\.png is not a folder\. Name the folder"),
        ("images/0/000.png/deeper", r"deeper is not a folder"),
        ("images/0", r"images/0 holds no subfolders\. Put"),
        ("n" * 300, "can't be read: File name too long"),
        ("zero\0byte", "can't be read: not a valid path"),
    ],
)
def test_an_invalid_folder_is_bad_input_for_check_and_scan(images, log, path, message):
    folder = images.parent / path
    with pytest.raises(BadInput, match=message):
        check(Spec(FolderSource(folder)))
    with pytest.raises(BadInput, match=message):
        scan(folder, images.parent / "working-file", log, lambda fraction: None)


def test_a_folder_whose_subfolders_have_no_images_is_bad_input(tmp_path, log):
    (tmp_path / "images" / "cats").mkdir(parents=True)
    (tmp_path / "images" / "cats" / "README.txt").write_text("to come")
    with pytest.raises(BadInput, match=r"images holds no images in its subfolders\. An image is a PNG, JPEG"):
        scan(tmp_path / "images", tmp_path / "working-file", log, lambda fraction: None)


@pytest.mark.parametrize("name", ["two\nlines", b"\xff\xfe", "page\x0cbreak"])
def test_a_category_name_that_labels_txt_cannot_store_is_bad_input(images, log, name):
    (images / "0").rename(os.fsdecode(os.fsencode(images) + b"/" + os.fsencode(name)))
    with pytest.raises(BadInput, match="can't name a category"):
        find_images(images, log)


def test_a_folder_with_one_subfolder_is_bad_input(images):
    (images / "1").rename(images / "0" / "1")
    with pytest.raises(BadInput, match="has only one subfolder, 0; a classifier needs two categories"):
        check(Spec(FolderSource(images)))


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_validation_and_test_folders_are_checked(images, split):
    with pytest.raises(BadInput, match="missing does not exist"):
        check(Spec(FolderSource(images), **{split: FolderSource(images.parent / "missing")}))


def test_the_images_of_a_relative_folder_have_absolute_paths(images, log, monkeypatch):
    monkeypatch.chdir(images.parent)
    listing = scan(images.relative_to(images.parent), images.parent / "working-file", log, lambda fraction: None)
    assert os.fsdecode(listing.path(0)).startswith(f"{images}/0/")


@pytest.fixture
def many(images):
    """A folder of more files than one process recognises: images, other files, links, a pipe and a folder."""
    folder = images / "0"
    for number in range(1100):
        os.link(folder / "000.png", folder / f"image {number}.png")
    for number in range(60):
        (folder / f"text {number}.png").write_text("text")
        (folder / f"note {number}.txt").write_text("text")
        (folder / f"link {number}.png").symlink_to("000.png")
        (folder / f"film {number}.gif").write_bytes(b"GIF89a" + bytes(20))
    os.mkfifo(folder / "pipe.png")
    (folder / "line\nbreak.png").write_bytes(b"")
    (folder / "inner").mkdir()
    os.link(folder / "001.png", folder / "inner" / "001.png")
    return images


def test_several_processes_find_the_same_as_one(many, tmp_path):
    found = []
    for workers in (1, 3):
        with BuildLog(tmp_path / "several.log") as log:
            listing = scan(many, tmp_path / "paths", log, lambda fraction: None, workers=workers)
        paths = [listing.relative_path(image) for image in range(len(listing))]
        text = (tmp_path / "several.log").read_text()
        found.append((paths, listing.starts.tolist(), text, listing.summaries.take_digests().tolist()))
    assert found[0] == found[1]
    assert len(found[0][0]) == 3 + 1100 + 60 + 1 + 2
    assert found[0][2].count("skipped") == 60 + 60 + 2
    assert multiprocessing.active_children() == []


def test_an_abort_stops_the_processes_that_recognise_files(many, tmp_path, log):
    seen = []

    def abort(fraction):
        seen.extend(multiprocessing.active_children())
        if seen:
            raise Aborted

    with pytest.raises(Aborted):
        scan(many, tmp_path / "paths", log, abort, workers=2)
    assert len(seen) == 2
    assert multiprocessing.active_children() == []


def test_a_folder_that_vanishes_before_the_processes_open_it_is_logged_by_file(many, tmp_path, log):
    with open_folder(many / "0", EVERYWHERE) as descriptor, Recognizer(EVERYWHERE, 2, lambda: None) as recognizer:
        names = [f"image {number}.png" for number in range(1000)]
        (many / "0").rename(many / "elsewhere")
        found = list(recognizer.files(str(many / "0"), descriptor, names))
    assert found == [Recognized(None, "No such file or directory")] * 1000
