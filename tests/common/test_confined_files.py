"""The door to files that users name: only what lies under a root is opened, and nothing is told of the rest."""

import os
import threading
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from datasets.imagedb import PrebuiltSpec, PrebuiltSplit, build, build_prebuilt
from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.encode import Encoder
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.sources.folder import scan
from digits_project import environment
from digits_project.common.confined_files import EVERYWHERE, Outside, leads_out, open_file, open_folder, resolve
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import silent, spec, write_digits
from tests.support.samples.prebuilt_samples import caffe_order, datum, pictures, write_lmdb


@pytest.fixture
def root(tmp_path):
    """A root with one file; beside it a file and a folder that nobody may hear of."""
    (tmp_path / "root" / "inner").mkdir(parents=True)
    (tmp_path / "root" / "inner" / "file").write_text("inside")
    (tmp_path / "elsewhere" / "folder").mkdir(parents=True)
    (tmp_path / "elsewhere" / "file").write_text("secret")
    return tmp_path / "root"


def content(path, *roots):
    with open_file(path, roots) as file:
        return file.read().decode()


def test_a_file_under_a_root_is_opened_by_any_name_that_stays_there(root):
    (root / "link").symlink_to("inner")
    (root / "absolute").symlink_to(root / "link" / "file")
    (root / "inner" / "up").symlink_to("../absolute")
    names = ["inner/file", "link/file", "absolute", "inner/up", "inner/../inner//./file", "link/../inner/file"]
    assert [content(f"{root}/{name}", root) for name in names] == ["inside"] * len(names)


def test_a_link_may_lead_from_one_root_to_another(root):
    (root / "link").symlink_to(root.parent / "elsewhere")
    with pytest.raises(Outside):
        content(root / "link" / "file", root)
    assert content(root / "link" / "file", root, root.parent / "elsewhere") == "secret"


def test_what_lies_outside_and_what_is_not_there_get_the_same_answer(root):
    (root / "link").symlink_to(root.parent / "elsewhere")
    (root / "up").symlink_to("../elsewhere")
    (root / "roundabout").symlink_to(root.parent / "way-back")
    (root.parent / "way-back").symlink_to(root / "inner")
    (root.parent / "elsewhere" / "locked").mkdir(mode=0)
    (root.parent / "elsewhere" / "circle").symlink_to("circle")
    told = set()
    for way in (root / "link", root / "up", root / ".." / "elsewhere", root.parent / "elsewhere", root / "roundabout"):
        for name in ("file", "folder", "nothing", "file/below", "locked/x", "circle", "n" * 300):
            for opened in (open_file, open_folder, resolve):
                with pytest.raises(Outside) as refusal:
                    with_or_without(opened, way / name, [root])
                told.add(str(refusal.value).replace(str(way / name), "PATH"))
    assert len({message.replace("…", "")[-60:] for message in told}) == 1


def with_or_without(opened, path, roots):
    """Open and close again, whatever opens."""
    if opened is open_folder:
        with open_folder(path, roots):
            return
    file = opened(path, roots)
    if opened is open_file:
        file.close()


def test_a_folder_whose_name_begins_like_a_root_is_outside(root):
    (root.parent / "root2").mkdir()
    (root.parent / "root2" / "file").write_text("secret")
    with pytest.raises(Outside):
        content(root.parent / "root2" / "file", root)


@pytest.mark.parametrize("path", ["", "inner/file", ".", "~/file"])
def test_a_relative_path_is_outside(root, path, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(Outside):
        content(path, root)


@pytest.mark.parametrize("roots", [EVERYWHERE, None])
def test_what_is_no_regular_file_is_not_opened(root, roots):
    roots = roots or [root]
    os.mkfifo(root / "pipe")
    (root / "dangling").symlink_to("nothing")
    (root / "circle").symlink_to("circle")
    for name in ("pipe", "inner", "dangling", "circle", "nothing", "inner/file/below", "zero\0byte", "\ud800", "."):
        with pytest.raises(OSError, match=r"."):
            open_file(f"{root}/{name}", roots)
    with pytest.raises(NotADirectoryError), open_folder(root / "inner" / "file", roots):
        pass


def test_a_path_is_resolved_as_far_as_it_exists(root):
    (root / "link").symlink_to("inner")
    assert resolve(root / "link" / "file", [root]) == root / "inner" / "file"
    assert resolve(root / "link" / "new" / "name", [root]) == root / "inner" / "new" / "name"
    assert resolve(root, [root]) == root
    assert resolve(root.parent / "missing" / "name", [root.parent / "missing"]) == root.parent / "missing" / "name"
    assert not leads_out(root / "link" / "nothing", [root])
    (root / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="levels of symbolic links"):
        resolve(root / "circle", [root])


def test_a_root_may_be_named_by_a_link_to_it(root, monkeypatch):
    (root.parent / "data").symlink_to(root)
    monkeypatch.setenv("DIGITS_DATA_ROOTS", str(root.parent / "data"))
    roots = environment.paths("DIGITS_DATA_ROOTS", "/")
    (root / "link").symlink_to(root.parent / "data" / "inner")
    assert roots == [root.parent / "data", root]
    assert content(root.parent / "data" / "link" / "file", *roots) == "inside"
    assert content(root / "inner" / "file", *roots) == "inside"


def test_whoever_exchanges_folders_for_links_gets_nothing_out(root):
    """A thread turns inner from a folder into a link that leads out, and back, as fast as it can."""
    (root / "trap").symlink_to(root.parent / "elsewhere")
    ended = threading.Event()

    def exchange():
        while not ended.is_set():
            (root / "inner").rename(root / "aside")
            (root / "trap").rename(root / "inner")
            (root / "inner").rename(root / "trap")
            (root / "aside").rename(root / "inner")

    thread = threading.Thread(target=exchange)
    thread.start()
    outcomes = set()
    try:
        for _ in takewhile(lambda count: count < 1000 or not {"inside", "Outside"} <= outcomes, range(1_000_000)):
            try:
                outcomes.add(content(root / "inner" / "file", root))
            except (OSError, Outside) as refusal:
                outcomes.add(type(refusal).__name__)
    finally:
        ended.set()
        thread.join()
    assert {"inside", "Outside"} <= outcomes  # the trap was met
    assert "secret" not in outcomes


@pytest.fixture
def confined(tmp_path):
    """Digits under a root, with links in it that lead out and one that stays."""
    images = write_digits(tmp_path / "root" / "images", {0: 3, 1: 3})
    outside = write_digits(tmp_path / "outside", {2: 3, 3: 3})
    (images / "2").symlink_to(outside / "2")
    (images / "0" / "deeper").symlink_to(outside / "3")
    (images / "0" / "file.png").symlink_to(outside / "3" / "000.png")
    (images / "0" / "nothing.png").symlink_to(outside / "nothing.png")
    (images / "1" / "again.png").symlink_to(images / "0" / "000.png")
    return images


def test_a_build_leaves_out_links_that_lead_out_of_the_roots(confined, tmp_path):
    built = build(spec(confined, pct_val=0, roots=(tmp_path / "root",)), tmp_path / "job", silent)
    assert (built.categories, [split.per_category for split in built.splits]) == (["0", "1"], [[3, 4]])
    said = "leads out of the folders that this server may read, and is left out."
    names = [confined / "2", confined / "0" / "deeper", confined / "0" / "file.png", confined / "0" / "nothing.png"]
    assert sorted(built.warnings) == sorted(f"{name} {said}" for name in names)
    assert built.skipped == 0


def test_with_every_file_readable_a_build_follows_them_all(confined, tmp_path):
    built = build(spec(confined, pct_val=0), tmp_path / "job", silent)
    assert (built.categories, [split.per_category for split in built.splits]) == (["0", "1", "2"], [[7, 4, 3]])


def test_an_image_that_becomes_a_link_after_the_scan_is_not_read(tmp_path):
    images = write_digits(tmp_path / "root", {0: 3, 1: 3})
    outside = write_digits(tmp_path / "outside", {5: 1}) / "5" / "000.png"
    with BuildLog(tmp_path / "build.log") as log:
        listing = scan(images, tmp_path / "paths", log, silent, (images,))
    victim = Path(os.fsdecode(listing.path(0)))
    victim.unlink()
    victim.symlink_to(outside)
    encoded = Encoder(listing, spec(images, roots=(images,)), summing=False, white_level=FULL_RANGE)(np.arange(6))
    assert encoded.failed == {0: "it is not in a folder that this server may read"}
    assert encoded.payloads.count(None) == 1


@pytest.mark.parametrize("name", ["images", "mean.npy"])
def test_a_prebuilt_database_that_became_a_link_is_not_read(tmp_path, name):
    databases = tmp_path / "root"
    databases.mkdir()
    write_lmdb(databases / "images", [datum(caffe_order(image), 0) for image in pictures(2)])
    build_prebuilt(PrebuiltSpec(PrebuiltSplit(databases / "images")), databases / "first", silent)
    (databases / "first" / "mean.npy").rename(databases / "mean.npy")
    (databases / name).rename(tmp_path / name)
    (databases / name).symlink_to(tmp_path / name)
    asked = PrebuiltSpec(PrebuiltSplit(databases / "images"), mean=databases / "mean.npy", roots=(databases,))
    with pytest.raises(BadInput, match="is not in a folder that this server may read"):
        build_prebuilt(asked, tmp_path / "job", silent)


def test_a_database_under_a_root_is_read(tmp_path):
    write_lmdb(tmp_path / "images", [datum(caffe_order(image), 0) for image in pictures(2)])
    asked = PrebuiltSpec(PrebuiltSplit(Path(tmp_path / "images")), roots=(tmp_path,))
    assert build_prebuilt(asked, tmp_path / "job", silent).entries == {"train": 2}
