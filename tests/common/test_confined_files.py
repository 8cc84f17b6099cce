"""Files that users name: only files under a data root are opened, and errors reveal nothing about other files."""

import os
import threading
from itertools import product, takewhile
from pathlib import Path

import numpy as np
import pytest

from datasets.imagedb import PrebuiltSpec, PrebuiltSplit, build, build_prebuilt
from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.encode import Encoder, Task
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.readers.folder import scan
from datasets.imagedb.split import Part
from digits_project import environment
from digits_project.common.confined_files import (
    EVERYWHERE,
    Outside,
    leads_out,
    open_entry,
    open_file,
    open_folder,
    resolve,
)
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits
from tests.support.samples.prebuilt_samples import caffe_order, datum, photo_crops, write_lmdb


@pytest.fixture
def root(tmp_path):
    """A data root with one file; beside the root lie a file and a folder, which must stay hidden."""
    (tmp_path / "root" / "inner").mkdir(parents=True)
    (tmp_path / "root" / "inner" / "file").write_text("inside")
    (tmp_path / "elsewhere" / "folder").mkdir(parents=True)
    (tmp_path / "elsewhere" / "file").write_text("secret")
    return tmp_path / "root"


def read_text(path, *roots):
    with open_file(path, roots) as file:
        return file.read().decode()


def test_a_file_under_a_root_can_be_opened_through_links_that_stay_under_the_root(root):
    (root / "link").symlink_to("inner")
    (root / "absolute").symlink_to(root / "link" / "file")
    (root / "inner" / "up").symlink_to("../absolute")
    names = ["inner/file", "link/file", "absolute", "inner/up", "inner/../inner//./file", "link/../inner/file"]
    assert [read_text(f"{root}/{name}", root) for name in names] == ["inside"] * len(names)


def test_a_link_can_lead_from_one_root_to_another(root):
    (root / "link").symlink_to(root.parent / "elsewhere")
    with pytest.raises(Outside):
        read_text(root / "link" / "file", root)
    assert read_text(root / "link" / "file", root, root.parent / "elsewhere") == "secret"


def test_the_error_does_not_reveal_whether_a_path_outside_the_roots_exists(root):
    (root / "link").symlink_to(root.parent / "elsewhere")
    (root / "up").symlink_to("../elsewhere")
    (root / "roundabout").symlink_to(root.parent / "way-back")
    (root.parent / "way-back").symlink_to(root / "inner")
    (root.parent / "elsewhere" / "locked").mkdir(mode=0)
    (root.parent / "elsewhere" / "circle").symlink_to("circle")
    elsewhere = [root / "link", root / "up", root / ".." / "elsewhere", root.parent / "elsewhere", root / "roundabout"]
    names = ["file", "folder", "nothing", "file/below", "locked/x", "circle", "n" * 300]
    messages = set()
    for path, open_or_resolve in product(elsewhere, (open_file, open_folder, resolve)):
        for name in names:
            with pytest.raises(Outside) as error:
                open_and_close(open_or_resolve, path / name, [root])
            messages.add(str(error.value).replace(str(path / name), "PATH"))
    assert len({message.replace("…", "")[-60:] for message in messages}) == 1


def open_and_close(open_or_resolve, path, roots):
    """Open a file or a folder and close it again, or only resolve the path."""
    if open_or_resolve is open_folder:
        with open_folder(path, roots):
            return
    file = open_or_resolve(path, roots)
    if open_or_resolve is open_file:
        file.close()


def test_a_folder_whose_name_only_starts_like_a_root_is_outside(root):
    (root.parent / "root2").mkdir()
    (root.parent / "root2" / "file").write_text("secret")
    with pytest.raises(Outside):
        read_text(root.parent / "root2" / "file", root)


@pytest.mark.parametrize("path", ["", "inner/file", ".", "~/file"])
def test_a_relative_path_is_outside_the_roots(root, path, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(Outside):
        read_text(path, root)


@pytest.mark.parametrize("roots", [EVERYWHERE, None])
def test_only_regular_files_and_folders_can_be_opened(root, roots):
    roots = roots or [root]
    os.mkfifo(root / "pipe")
    (root / "dangling").symlink_to("nothing")
    (root / "circle").symlink_to("circle")
    for name in ("pipe", "inner", "dangling", "circle", "nothing", "inner/file/below", "zero\0byte", "\ud800", "."):
        with pytest.raises(OSError, match=r"."):
            open_file(f"{root}/{name}", roots)
    with pytest.raises(NotADirectoryError), open_folder(root / "inner" / "file", roots):
        pass


@pytest.mark.parametrize(
    "name, message",
    [("link", "symbolic links"), ("folder", "directory"), ("pipe", "not a regular file"), ("missing", "No such file")],
)
def test_an_entry_of_an_open_folder_is_opened_only_if_it_is_a_regular_file(root, name, message):
    (root / "link").symlink_to(root / "inner" / "file")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    with open_folder(root, (root,)) as folder, pytest.raises(OSError, match=message):
        open_entry(folder, name)
    with open_folder(root / "inner", (root,)) as folder, open_entry(folder, "file") as file:
        assert file.read() == b"inside"


def test_the_existing_part_of_a_path_is_resolved(root):
    (root / "link").symlink_to("inner")
    assert resolve(root / "link" / "file", [root]) == root / "inner" / "file"
    assert resolve(root / "link" / "new" / "name", [root]) == root / "inner" / "new" / "name"
    assert resolve(root, [root]) == root
    assert resolve(root.parent / "missing" / "name", [root.parent / "missing"]) == root.parent / "missing" / "name"
    assert not leads_out(root / "link" / "nothing", [root])
    (root / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="levels of symbolic links"):
        resolve(root / "circle", [root])


def test_a_root_can_be_given_as_a_link_to_it(root, monkeypatch):
    (root.parent / "data").symlink_to(root)
    monkeypatch.setenv("DIGITS_DATA_ROOTS", str(root.parent / "data"))
    roots = environment.paths("DIGITS_DATA_ROOTS", "/")
    (root / "link").symlink_to(root.parent / "data" / "inner")
    assert roots == [root.parent / "data", root]
    assert read_text(root.parent / "data" / "link" / "file", *roots) == "inside"
    assert read_text(root / "inner" / "file", *roots) == "inside"


def test_swapping_a_folder_for_a_link_during_reads_reveals_no_file_outside(root):
    """A thread swaps the folder inner for a link that leads out, and back, as fast as it can."""
    (root / "trap").symlink_to(root.parent / "elsewhere")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            (root / "inner").rename(root / "aside")
            (root / "trap").rename(root / "inner")
            (root / "inner").rename(root / "trap")
            (root / "aside").rename(root / "inner")

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = set()
    try:
        for _ in takewhile(lambda count: count < 1000 or not {"inside", "Outside"} <= outcomes, range(1_000_000)):
            try:
                outcomes.add(read_text(root / "inner" / "file", root))
            except (OSError, Outside) as error:
                outcomes.add(type(error).__name__)
    finally:
        stop.set()
        thread.join()
    assert {"inside", "Outside"} <= outcomes  # some reads found the folder, others the link
    assert "secret" not in outcomes


@pytest.fixture
def folder_with_links(tmp_path):
    """Digits under a root, with four links that lead out of it and one that stays under it."""
    images = write_digits(tmp_path / "root" / "images", {0: 3, 1: 3})
    outside = write_digits(tmp_path / "outside", {2: 3, 3: 3})
    (images / "2").symlink_to(outside / "2")
    (images / "0" / "deeper").symlink_to(outside / "3")
    (images / "0" / "file.png").symlink_to(outside / "3" / "000.png")
    (images / "0" / "nothing.png").symlink_to(outside / "nothing.png")
    (images / "1" / "again.png").symlink_to(images / "0" / "000.png")
    return images


def test_a_build_skips_links_that_lead_out_of_the_roots(folder_with_links, tmp_path):
    built = build(spec_of(folder_with_links, pct_val=0, roots=(tmp_path / "root",)), tmp_path / "job", ignore_progress)
    assert (built.categories, [split.per_category for split in built.splits]) == (["0", "1"], [[3, 4]])
    reason = "leads out of the folders that this server may read, and is left out."
    links = [folder_with_links / name for name in ("2", "0/deeper", "0/file.png", "0/nothing.png")]
    assert sorted(built.warnings) == sorted(f"{link} {reason}" for link in links)
    assert built.skipped == 0


def test_a_build_without_roots_follows_all_links(folder_with_links, tmp_path):
    built = build(spec_of(folder_with_links, pct_val=0), tmp_path / "job", ignore_progress)
    assert (built.categories, [split.per_category for split in built.splits]) == (["0", "1", "2"], [[7, 4, 3]])


def test_an_image_replaced_by_a_link_after_the_scan_is_not_read(tmp_path):
    images = write_digits(tmp_path / "root", {0: 3, 1: 3})
    outside = write_digits(tmp_path / "outside", {5: 1}) / "5" / "000.png"
    with BuildLog(tmp_path / "build.log") as log:
        listing = scan(images, tmp_path / "paths", log, ignore_progress, (images,))
    victim = Path(os.fsdecode(listing.path(0)))
    victim.unlink()
    victim.symlink_to(outside)
    part = Part("train", listing, np.arange(6), np.arange(2))
    encoded = Encoder([part], spec_of(images, roots=(images,)), FULL_RANGE)(Task(0, part.images))
    assert encoded.failed == {0: "it is not in a folder that this server may read"}
    assert encoded.payloads.count(None) == 1


@pytest.mark.parametrize("name", ["images", "mean.npy"])
def test_a_prebuilt_database_replaced_by_a_link_is_not_read(tmp_path, name):
    databases = tmp_path / "root"
    databases.mkdir()
    write_lmdb(databases / "images", [datum(caffe_order(image), 0) for image in photo_crops(2)])
    build_prebuilt(PrebuiltSpec(PrebuiltSplit(databases / "images")), databases / "first", ignore_progress)
    (databases / "first" / "mean.npy").rename(databases / "mean.npy")
    (databases / name).rename(tmp_path / name)
    (databases / name).symlink_to(tmp_path / name)
    prebuilt = PrebuiltSpec(PrebuiltSplit(databases / "images"), mean=databases / "mean.npy", roots=(databases,))
    with pytest.raises(BadInput, match="is not in a folder that this server may read"):
        build_prebuilt(prebuilt, tmp_path / "job", ignore_progress)


def test_a_prebuilt_database_under_a_root_is_read(tmp_path):
    write_lmdb(tmp_path / "images", [datum(caffe_order(image), 0) for image in photo_crops(2)])
    prebuilt = PrebuiltSpec(PrebuiltSplit(Path(tmp_path / "images")), roots=(tmp_path,))
    assert build_prebuilt(prebuilt, tmp_path / "job", ignore_progress).entries == {"train": 2}
