"""Archives of images: which members are unpacked, and which archives are rejected."""

import gzip
import io
import stat
import tarfile
import zipfile
from itertools import count

import numpy as np
import pytest

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers.archive import Limits, unpack
from digits_project.common.errors import Aborted, BadInput
from tests.support.samples.archive_samples import (
    FORMS,
    digit_files,
    digit_png,
    raw_tar,
    replace_bytes,
    tar_entry,
    tar_of,
    zip_entry,
    zip_of,
    zip_with_directory_size,
)
from tests.support.samples.imagedb_samples import ignore_progress

SMALL_LIMITS = Limits(entries=50, total=8 << 20, ratio=10, free=1 << 20)


@pytest.fixture
def unpacked_files(tmp_path):
    """A function that unpacks an archive into a new folder, out/<attempt>, and returns the names of the files."""
    attempts = count()
    (tmp_path / "out").mkdir()

    def unpacked_files(content, limits=SMALL_LIMITS, report=ignore_progress):
        (tmp_path / "archive").write_bytes(content)
        target = tmp_path / "out" / str(next(attempts))
        with BuildLog(tmp_path / "build.log") as log:
            top = unpack(tmp_path / "archive", "pets.zip", target, log, report, (tmp_path,), limits)
        return {str(path.relative_to(top)) for path in target.rglob("*") if path.is_file()}

    return unpacked_files


def image_names(counts=(3, 4)):
    return {f"{digit}/{n}.png" for digit, count in enumerate(counts) for n in range(count)}


# --- members that are unpacked ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("top", ["", "pets/", "./", "./pets/"])
def test_only_images_are_unpacked_with_or_without_an_outer_folder(unpacked_files, kind, top):
    assert unpacked_files(FORMS[kind](digit_files(top))) == image_names()


def test_unpacked_files_have_their_content_and_private_permissions(unpacked_files, tmp_path):
    unpacked_files(zip_of(digit_files()))
    assert (tmp_path / "out" / "0" / "1" / "2.png").read_bytes() == digit_png(1, 2)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out" / "0").rglob("*")}
    assert modes == {0o600, 0o700}


def test_tar_archives_of_all_formats_are_unpacked(unpacked_files):
    long = "x" * 120
    members = {f"{digit}/{long}/{'y' * 90}.png": digit_png(digit, 0) for digit in (0, 1)}
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
            archive.addfile(tar_entry("0", tarfile.DIRTYPE))
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        assert unpacked_files(buffer.getvalue()) == set(members)


def test_files_that_are_no_images_are_skipped_and_logged_if_named_like_images(unpacked_files, tmp_path):
    assert unpacked_files(
        zip_of(digit_files() | {"0/movie.mp4": bytes(1000), "0/broken.png": b"<html>", "1/empty.jpg": b""})
    )
    log = (tmp_path / "build.log").read_text()
    assert "broken.png: its content is not that of a" in log
    assert "empty.jpg: the file is empty" in log
    assert "movie" not in log


# --- members that are rejected ---------------------------------------------------------------------------------------
VALID_MEMBER = ("0/0.png", digit_png(0, 0))
FORBIDDEN_NAMES = {
    "../evil.png": "'../evil.png' leads out of the archive",
    "0/../../evil.png": "leads out of the archive",
    "0/..": "leads out of the archive",
    "/etc/evil.png": "'/etc/evil.png' has an absolute path",
    "//evil.png": "has an absolute path",
    "0\\..\\..\\evil.png": "has a backslash",
    "/".join("abcdefghijklmnopq") + ".png": "lies more than 16 folders deep",
    "/".join(["x" * 200] * 6): "has a name of more than 1024 bytes",
    "x" * 300 + ".png": "has a name of more than",
}


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("name", FORBIDDEN_NAMES)
def test_a_member_name_that_leads_out_of_the_archive_is_rejected(unpacked_files, tmp_path, pack, name):
    with pytest.raises(BadInput, match=r"pets\.zip can't be used: ") as error:
        unpacked_files(pack([VALID_MEMBER, (name, digit_png(0, 1))]))
    assert FORBIDDEN_NAMES[name] in str(error.value)
    assert not list(tmp_path.rglob("evil*"))


def test_a_member_name_with_a_zero_byte_is_rejected(unpacked_files):
    with pytest.raises(BadInput, match=r"'0/0\.png\\x00\.txt' has a backslash or a zero byte"):
        unpacked_files(replace_bytes(zip_of([("0/0.png!.txt", digit_png(0, 0))]), (b"0/0.png!", b"0/0.png\0")))


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("second", ["0/0.png", "0//0.png", "./0/0.png", "0/0.png/1.png"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_repeated_member_name_is_rejected(unpacked_files, pack, second):
    with pytest.raises(BadInput, match="is in it twice, or is both a file and a folder"):
        unpacked_files(pack([VALID_MEMBER, (second, digit_png(1, 0))]))


TAR_ENTRIES = {
    "symbolic link": tar_entry("0/link.png", tarfile.SYMTYPE, "/etc/passwd"),
    "link to a folder": tar_entry("0/link", tarfile.SYMTYPE, ".."),
    "hard link": tar_entry("0/link.png", tarfile.LNKTYPE, "0/0.png"),
    "pipe": tar_entry("0/pipe.png", tarfile.FIFOTYPE),
    "device": tar_entry("0/device.png", tarfile.CHRTYPE),
    "disk": tar_entry("0/disk.png", tarfile.BLKTYPE),
    "unknown": tar_entry("0/unknown.png", b"Z"),
    "holes": tar_entry("0/holes.png", tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("kind", TAR_ENTRIES)
def test_links_and_devices_in_a_tar_are_rejected(unpacked_files, kind):
    with pytest.raises(BadInput, match=r"'0/\w+(\.png)?' is a link, a device or a sparse file"):
        unpacked_files(tar_of([VALID_MEMBER, (TAR_ENTRIES[kind], b""), ("0/link/2.png", digit_png(0, 2))]))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_rejected(unpacked_files, kind):
    with pytest.raises(BadInput, match=r"'0/link' is a link or a device"):
        unpacked_files(
            zip_of([VALID_MEMBER, (zip_entry("0/link", kind | 0o777), b"/etc"), ("0/link/passwd", digit_png(0, 1))])
        )


def test_a_zip_member_without_a_name_is_skipped(unpacked_files):
    archive = zip_of(digit_files() | {"!": digit_png(0, 0)})
    entry, end = archive.rindex(b"PK\1\2"), archive.rindex(b"PK\5\6")
    nameless = archive[entry : entry + 28] + b"\0\0" + archive[entry + 30 : entry + 46]
    size = (end - archive.index(b"PK\1\2") - 1).to_bytes(4, "little")
    assert (
        unpacked_files(archive[:entry] + nameless + archive[end : end + 12] + size + archive[end + 16 :])
        == image_names()
    )


# --- archives that expand too much -----------------------------------------------------------------------------------
BLANK = digit_png(0, 0) + bytes(3 << 20)  # an image followed by zeros


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2"])
def test_an_archive_that_expands_too_much_is_rejected(unpacked_files, kind):
    with pytest.raises(BadInput, match=r"it grows to more than [\d,]+ bytes"):
        unpacked_files(FORMS[kind]({"0/0.png": BLANK}))


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2"])
def test_skipped_members_count_towards_the_size_limit(unpacked_files, kind):
    with pytest.raises(BadInput, match="it grows to more than"):
        unpacked_files(FORMS[kind]({"0/zeros.bin": bytes(8 << 20)}))


@pytest.mark.parametrize("kind", FORMS)
def test_an_archive_with_too_many_members_is_rejected(unpacked_files, kind):
    with pytest.raises(BadInput, match="it has more than 50 entries"):
        unpacked_files(FORMS[kind]({f"{i}/": b"" for i in range(51)}))


def test_a_member_is_read_only_up_to_its_declared_size(unpacked_files):
    archive = zip_of({"0/0.png": BLANK, "1/1.png": digit_png(1, 1)})
    size = len(BLANK).to_bytes(4, "little")
    with pytest.raises(BadInput, match=r"'0/0\.png' is damaged or cut short \(Bad CRC-32"):
        unpacked_files(replace_bytes(archive, (size, (500).to_bytes(4, "little"))))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unsupported_compressions_in_a_zip_are_rejected(unpacked_files, method):
    with pytest.raises(BadInput, match="uses an unsupported compression"):
        unpacked_files(zip_of(digit_files(), method))


def test_an_encrypted_zip_member_is_rejected(unpacked_files):
    archive = zip_of([VALID_MEMBER])
    directory = archive.index(b"PK\1\2")
    encrypted = archive[: directory + 8] + b"\1\0" + archive[directory + 10 :]
    with pytest.raises(BadInput, match=r"'0/0\.png' is encrypted"):
        unpacked_files(encrypted)


def test_the_directory_of_a_zip_has_a_size_limit(unpacked_files):
    with pytest.raises(BadInput, match="its directory takes more than 64 MiB"):
        unpacked_files(zip_with_directory_size(65 << 20))


def test_overlapping_zip_members_are_rejected(unpacked_files):
    """Both entries of the directory point to the same data."""
    archive = zip_of({f"0/{i}.png": digit_png(0, 0) + bytes(1 << 20) for i in range(2)})
    directory = archive.index(b"PK\1\2")
    second = archive.index(b"PK\1\2", directory + 1)
    overlapping = archive[: second + 42] + bytes(4) + archive[second + 46 :]
    with pytest.raises(BadInput, match=r"is damaged or cut short|grows to more"):
        unpacked_files(overlapping)


@pytest.mark.parametrize(
    "archive",
    [
        raw_tar(kind=b"x", size=b"77777777777"),  # 8 GiB of extended headers
        raw_tar(kind=b"L", size=b"77777777777"),  # a name of 8 GiB
        raw_tar(kind=b"g", size=b"00010000000", content=bytes(2 << 20)),
        b"".join(raw_tar(kind=b"x", size=b"00000004000", content=bytes(2048), end=b"") for _ in range(800)),
        raw_tar(kind=b"S", size=b"00000000000"),
        raw_tar(kind=b"x", size=b"00000000001", content=b"19 GNU.sparse.size="),
        raw_tar(size=b"\xff" * 12),  # -1
        raw_tar(size=b"\x80" + b"\xff" * 11),  # 2^88
        raw_tar(size=b"99999999999"),
        raw_tar(size=b"00000001000", content=digit_png(0, 0), end=b""),
    ],
)
def test_hostile_tar_headers_are_rejected(unpacked_files, archive):
    for content in (archive, gzip.compress(archive)):
        with pytest.raises(BadInput, match=r"pets\.zip can't be used: "):
            unpacked_files(content)


# --- damaged archives ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", FORMS)
def test_a_truncated_archive_is_rejected(unpacked_files, kind):
    archive = FORMS[kind](digit_files()).rstrip(b"\0")  # a tar file ends with more zeros than it needs
    for part in range(1, 12):
        with pytest.raises(BadInput, match=r"pets\.zip (can't be used|is not an archive)"):
            unpacked_files(archive[: len(archive) * part // 13])


def test_a_tar_with_a_damaged_header_is_rejected(unpacked_files):
    archive = bytearray(tar_of(digit_files()))
    archive[archive.index(b"1/0.png")] ^= 1
    with pytest.raises(BadInput, match=r"it is damaged or cut short after '0/2\.png'"):
        unpacked_files(bytes(archive))


@pytest.mark.parametrize("kind", FORMS)
def test_random_damage_of_an_archive_is_harmless_or_rejected(unpacked_files, kind, tmp_path):
    archive, rng = FORMS[kind](digit_files()), np.random.default_rng(0)
    outcomes = set()
    for _ in range(40):
        damaged = np.frombuffer(archive, np.uint8).copy()
        damaged[rng.integers(0, len(archive), 4)] = rng.integers(0, 256, 4)
        try:
            outcomes.add(unpacked_files(damaged.tobytes()) <= image_names())
        except BadInput:
            outcomes.add("rejected")
    assert outcomes <= {True, "rejected"}
    assert "rejected" in outcomes
    assert {path.name for path in tmp_path.iterdir()} == {"out", "archive", "build.log"}


@pytest.mark.parametrize("content", [b"", b"text", b"\xfd7zXZ\0" + bytes(600), b"Rar!" + bytes(600), bytes(2000)])
def test_a_file_that_is_no_archive_is_rejected(unpacked_files, content):
    with pytest.raises(BadInput, match=r"pets\.zip is not an archive. Send a zip, tar, tar\.gz or tar\.bz2"):
        unpacked_files(content)


def test_an_abort_or_an_error_of_the_callback_ends_the_unpacking(unpacked_files):
    for error in (Aborted, ZeroDivisionError, OSError):

        def stop(fraction, error=error):
            raise error

        for kind in ("zip", "tar.gz"):
            with pytest.raises(error):
                unpacked_files(FORMS[kind](digit_files()), report=stop)
