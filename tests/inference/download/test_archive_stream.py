"""ArchiveStream: archives of every form are complete, are never held in memory, and close their files."""

import io
import tarfile
import tracemalloc
import zipfile

import pytest

from inference.download.archive_stream import FORMS, ArchiveStream, StreamMember

CONTENTS = {
    "empty.txt": b"",
    "block.bin": bytes(512),
    "model.onnx": bytes(range(256)) * 4099,
    "classify.py": b"print()",
}
LARGE = 48 << 20


def member(name, content):
    return StreamMember(name, io.BytesIO(content), len(content))


def unpack(form, body):
    """{name: content}, read by Python's own modules, which check the checksums of the archive."""
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:*") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive.getmembers()}


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_of_every_form_holds_every_file(form):
    body = b"".join(ArchiveStream(form, [member(*item) for item in CONTENTS.items()]))
    assert unpack(form, body) == CONTENTS


@pytest.mark.parametrize("form", FORMS)
def test_archives_of_the_same_files_have_the_same_bytes(form):
    first, second = (b"".join(ArchiveStream(form, [member(*item) for item in CONTENTS.items()])) for _ in range(2))
    assert first == second


def test_every_form_is_compressed_as_its_name_says():
    bodies = {form: b"".join(ArchiveStream(form, [member("a", bytes(10_000))])) for form in FORMS}
    assert {form: body[:2] for form, body in bodies.items()} == {
        "tar": b"a\0",
        "tar.gz": b"\x1f\x8b",
        "tgz": b"\x1f\x8b",
        "tar.bz2": b"BZ",
        "zip": b"PK",
    }
    assert all(len(body) < 2000 for form, body in bodies.items() if form != "tar")


@pytest.mark.parametrize("form", ["tar", "tar.gz", "zip"])
def test_an_archive_never_holds_a_large_file_in_memory(form, tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGE)
    with (tmp_path / "large").open("rb") as file:
        tracemalloc.start()
        for _ in ArchiveStream(form, [StreamMember("large", file, LARGE)]):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LARGE / 10


def test_closing_an_unread_archive_closes_its_files():
    members = [member(*item) for item in CONTENTS.items()]
    ArchiveStream("zip", members).close()
    assert all(each.content.closed for each in members)
