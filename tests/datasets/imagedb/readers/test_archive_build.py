"""Datasets from archives: the same as from their folders, and nothing stays behind."""

import pytest

from datasets.imagedb import FolderSource, build
from digits_project.common.errors import Aborted, BadInput
from tests.support.samples.archive_samples import FORMS, digit_png, zip_of
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits


@pytest.fixture
def folder(tmp_path):
    return write_digits(tmp_path / "images", {0: 3, 1: 4, 2: 5})


def packed(folder, form="tar.gz", top=""):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    archive = folder.with_name(f"pets.{form}")
    archive.write_bytes(FORMS[form]({f"{top}{path.relative_to(folder)}": path.read_bytes() for path in files}))
    return archive


def test_an_archive_gives_the_database_of_its_folder(folder, tmp_path):
    build(spec_of(folder), tmp_path / "plain", ignore_progress)
    for form, top in (("zip", ""), ("tar.gz", "pets/")):
        directory = tmp_path / f"from {form}"
        built = build(spec_of(packed(folder, form, top), roots=(tmp_path,)), directory, ignore_progress)
        assert built.categories == ["0", "1", "2"]
        for name in ("train.rec", "val.rec", "mean.npy", "labels.txt"):
            assert (directory / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
        assert f"pets.{form}/{top}0/" in (directory / "train.txt").read_text()
        assert str(directory) not in (directory / "train.txt").read_text() + (directory / "build.log").read_text()
        assert {path.name for path in directory.iterdir()} == {path.name for path in (tmp_path / "plain").iterdir()}


def test_an_archive_that_was_sent_needs_no_root_and_has_its_own_name(folder, tmp_path):
    source = FolderSource(packed(folder, "zip"), name="my pets.zip", sent=True)
    assert build(spec_of(folder, train=source, roots=()), tmp_path / "job", ignore_progress).categories == [
        "0",
        "1",
        "2",
    ]
    (folder / "0" / "broken.png").write_bytes(digit_png(0, 0)[:60])
    packed(folder, "zip")
    assert build(spec_of(folder, train=source, roots=()), tmp_path / "job", ignore_progress).skipped == 1
    assert "my pets.zip/0/broken.png: damaged PNG" in (tmp_path / "job" / "build.log").read_text()


@pytest.mark.parametrize("members", [{}, {"0.png": digit_png(0, 0)}, {"README.txt": b"no images"}])
def test_an_archive_without_folders_of_images_is_told_so(tmp_path, members):
    (tmp_path / "pets.zip").write_bytes(zip_of(members))
    with pytest.raises(BadInput, match=rf"^{tmp_path}/pets\.zip holds no subfolders"):
        build(spec_of(tmp_path / "pets.zip"), tmp_path / "job", ignore_progress)


def test_an_archive_outside_the_roots_is_not_read(folder, tmp_path):
    with pytest.raises(BadInput, match="may read"):
        build(spec_of(packed(folder), roots=(folder,)), tmp_path / "job", ignore_progress)


def test_an_archive_of_one_category_is_told_by_its_name(tmp_path):
    archive = packed(write_digits(tmp_path / "images", {0: 3}))
    with pytest.raises(BadInput, match=rf"^{tmp_path}/pets\.tar\.gz holds images of one category only"):
        build(spec_of(archive), tmp_path / "job", ignore_progress)


@pytest.mark.parametrize("fraction", [0, 0.1, 0.38, 0.6])
def test_an_abort_leaves_nothing(folder, tmp_path, fraction):
    calls = []

    def report(at):
        calls.append(at)
        if at >= fraction:
            raise Aborted

    with pytest.raises(Aborted):
        build(spec_of(packed(folder)), tmp_path / "job", report)
    assert list((tmp_path / "job").iterdir()) == []
    assert calls


def test_what_a_killed_process_left_is_gone_with_the_next_attempt(folder, tmp_path):
    left = tmp_path / "job" / "building" / "unpacking" / "0"
    left.mkdir(parents=True)
    (left / "half.png").touch()
    build(spec_of(packed(folder)), tmp_path / "job", ignore_progress)
    assert not (tmp_path / "job" / "building").exists()
    assert not (tmp_path / "job" / "unpacking").exists()


def test_an_error_leaves_nothing(folder, tmp_path):
    archive = packed(folder)
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(BadInput, match="is damaged or cut short"):
        build(spec_of(archive), tmp_path / "job", ignore_progress)
    assert list((tmp_path / "job").iterdir()) == []
