"""A folder as a tar: the same bytes for the same files, read from any place, and what is left out."""

import io
import os
import tarfile

import pytest

from digits_client.folder_tar import FileSource, FolderTar


@pytest.fixture
def folder(tmp_path):
    """A folder of odd files: empty, of one block, with a long name and one in Greek, and litter."""
    contents = {
        "cats/empty.png": b"",
        "cats/block.png": bytes(range(256)) * 2,
        f"dogs/{'long' * 30}/a.png": b"a" * 700,
        "dogs/σκύλος.png": b"dog",
        ".DS_Store": b"litter",
        "cats/Thumbs.db": b"litter",
        ".git/config": b"litter",
    }
    for path, content in contents.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "more").symlink_to(tmp_path / "cats")
    return tmp_path


def whole(source, step):
    return b"".join(source.read(offset, step) for offset in range(0, source.length, step))


def test_the_tar_of_a_folder_holds_its_files_and_no_litter(folder):
    source = FolderTar(folder)
    with tarfile.open(fileobj=io.BytesIO(whole(source, source.length))) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}
    assert sorted(found) == ["cats/block.png", "cats/empty.png", f"dogs/{'long' * 30}/a.png", "dogs/σκύλος.png"]
    assert found["dogs/σκύλος.png"] == b"dog"
    assert len(source) == 4


@pytest.mark.parametrize("step", [1, 7, 512, 513, 4096])
def test_the_pieces_of_a_tar_are_the_same_bytes_as_the_whole(folder, step):
    source = FolderTar(folder)
    assert whole(source, step) == source.read(0, source.length)
    assert len(source.read(0, source.length)) == source.length


def test_a_folder_has_another_fingerprint_after_a_change(folder):
    before = FolderTar(folder)
    assert FolderTar(folder).fingerprint == before.fingerprint
    (folder / "cats" / "new.png").write_bytes(b"new")
    assert FolderTar(folder).fingerprint != before.fingerprint


def test_a_file_that_becomes_shorter_while_it_is_sent_is_an_error(folder):
    source, file = FolderTar(folder), FileSource(folder / "cats" / "block.png")
    os.truncate(folder / "cats" / "block.png", 3)
    with pytest.raises(OSError, match=r"block.png has become shorter"):
        source.read(0, source.length)
    with pytest.raises(OSError, match="shorter"):
        file.read(0, 512)


def test_a_folder_without_files_is_an_error(tmp_path):
    (tmp_path / ".hidden").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="no files"):
        FolderTar(tmp_path)


def test_folders_that_link_to_each_other_are_read_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"1")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(FolderTar(tmp_path)) == 1
