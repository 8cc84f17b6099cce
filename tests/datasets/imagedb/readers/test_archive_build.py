"""Builds from archives: the same result as from the folder, and no unpacked files are left."""

import pytest

from datasets.imagedb import FolderSource, build
from digits_project.common.errors import Aborted, BadInput
from tests.support.samples.archive_samples import FORMS, digit_png, zip_of
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits


@pytest.fixture
def folder(tmp_path):
    return write_digits(tmp_path / "images", {0: 3, 1: 4, 2: 5})


def pack_folder(folder, form="tar.gz", top=""):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    archive = folder.with_name(f"pets.{form}")
    archive.write_bytes(FORMS[form]({f"{top}{path.relative_to(folder)}": path.read_bytes() for path in files}))
    return archive


def test_a_build_from_an_archive_equals_the_build_from_its_folder(folder, tmp_path):
    build(spec_of(folder), tmp_path / "plain", ignore_progress)
    for form, top in (("zip", ""), ("tar.gz", "pets/")):
        directory = tmp_path / f"from {form}"
        built = build(spec_of(pack_folder(folder, form, top), roots=(tmp_path,)), directory, ignore_progress)
        assert built.categories == ["0", "1", "2"]
        for name in ("train.rec", "val.rec", "mean.npy", "labels.txt"):
            assert (directory / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
        assert f"pets.{form}/{top}0/" in (directory / "train.txt").read_text()
        assert str(directory) not in (directory / "train.txt").read_text() + (directory / "build.log").read_text()
        assert {path.name for path in directory.iterdir()} == {path.name for path in (tmp_path / "plain").iterdir()}


def test_an_uploaded_archive_needs_no_data_root_and_keeps_its_name(folder, tmp_path):
    source = FolderSource(pack_folder(folder, "zip"), name="my pets.zip", sent=True)
    assert build(spec_of(folder, train=source, roots=()), tmp_path / "job", ignore_progress).categories == [
        "0",
        "1",
        "2",
    ]
    (folder / "0" / "broken.png").write_bytes(digit_png(0, 0)[:60])
    pack_folder(folder, "zip")
    assert build(spec_of(folder, train=source, roots=()), tmp_path / "job", ignore_progress).skipped == 1
    assert "my pets.zip/0/broken.png: damaged PNG" in (tmp_path / "job" / "build.log").read_text()


@pytest.mark.parametrize("members", [{}, {"0.png": digit_png(0, 0)}, {"README.txt": b"no images"}])
def test_an_archive_without_folders_of_images_is_bad_input(tmp_path, members):
    (tmp_path / "pets.zip").write_bytes(zip_of(members))
    with pytest.raises(BadInput, match=rf"^{tmp_path}/pets\.zip holds no subfolders"):
        build(spec_of(tmp_path / "pets.zip"), tmp_path / "job", ignore_progress)


def test_an_archive_outside_the_data_roots_is_not_read(folder, tmp_path):
    with pytest.raises(BadInput, match="may read"):
        build(spec_of(pack_folder(folder), roots=(folder,)), tmp_path / "job", ignore_progress)


def test_an_archive_with_one_category_is_bad_input(tmp_path):
    archive = pack_folder(write_digits(tmp_path / "images", {0: 3}))
    with pytest.raises(BadInput, match=rf"^{tmp_path}/pets\.tar\.gz holds images of one category only"):
        build(spec_of(archive), tmp_path / "job", ignore_progress)


@pytest.mark.parametrize("fraction", [0, 0.1, 0.38, 0.6])
def test_an_aborted_build_from_an_archive_leaves_no_files(folder, tmp_path, fraction):
    calls = []

    def report(at):
        calls.append(at)
        if at >= fraction:
            raise Aborted

    with pytest.raises(Aborted):
        build(spec_of(pack_folder(folder)), tmp_path / "job", report)
    assert list((tmp_path / "job").iterdir()) == []
    assert calls


def test_a_build_deletes_unpacked_files_of_a_killed_process(folder, tmp_path):
    leftover = tmp_path / "job" / "building" / "unpacking" / "0"
    leftover.mkdir(parents=True)
    (leftover / "half.png").touch()
    build(spec_of(pack_folder(folder)), tmp_path / "job", ignore_progress)
    assert not (tmp_path / "job" / "building").exists()
    assert not (tmp_path / "job" / "unpacking").exists()


def test_a_failed_build_from_an_archive_leaves_no_files(folder, tmp_path):
    archive = pack_folder(folder)
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(BadInput, match="is damaged or cut short"):
        build(spec_of(archive), tmp_path / "job", ignore_progress)
    assert list((tmp_path / "job").iterdir()) == []
