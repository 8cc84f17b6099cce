"""Archives of images: what is unpacked and what is refused."""

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

SMALL = Limits(entries=50, total=8 << 20, ratio=10, free=1 << 20)


@pytest.fixture
def opened(tmp_path):
    """Unpacks an archive into a folder of its own, out/<attempt>, and tells which files came out."""
    attempts = count()
    (tmp_path / "out").mkdir()

    def unpacked(content, limits=SMALL, at=ignore_progress):
        (tmp_path / "archive").write_bytes(content)
        into = tmp_path / "out" / str(next(attempts))
        with BuildLog(tmp_path / "build.log") as log:
            top = unpack(tmp_path / "archive", "pets.zip", into, log, at, (tmp_path,), limits)
        return {str(path.relative_to(top)) for path in into.rglob("*") if path.is_file()}

    return unpacked


def images(counts=(3, 4)):
    return {f"{digit}/{n}.png" for digit, count in enumerate(counts) for n in range(count)}


# --- what is read ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("top", ["", "pets/", "./", "./pets/"])
def test_only_images_come_out_whether_a_folder_is_around_them_or_not(opened, form, top):
    assert opened(FORMS[form](digit_files(top))) == images()


def test_what_was_packed_is_what_comes_out(opened, tmp_path):
    opened(zip_of(digit_files()))
    assert (tmp_path / "out" / "0" / "1" / "2.png").read_bytes() == digit_png(1, 2)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out" / "0").rglob("*")}
    assert modes == {0o600, 0o700}


def test_tar_by_tools_of_other_kinds_is_read(opened):
    long = "x" * 120
    members = {f"{digit}/{long}/{'y' * 90}.png": digit_png(digit, 0) for digit in (0, 1)}
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            archive.addfile(tar_entry("0", tarfile.DIRTYPE))
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        assert opened(buffer.getvalue()) == set(members)


def test_what_is_no_image_is_left_out_and_told_if_its_name_says_otherwise(opened, tmp_path):
    assert opened(zip_of(digit_files() | {"0/movie.mp4": bytes(1000), "0/broken.png": b"<html>", "1/empty.jpg": b""}))
    told = (tmp_path / "build.log").read_text()
    assert "broken.png: its content is not that of a" in told
    assert "empty.jpg: the file is empty" in told
    assert "movie" not in told


# --- what is refused -------------------------------------------------------------------------------------------------
GOOD = ("0/0.png", digit_png(0, 0))
NAMES = {
    "../evil.png": "'../evil.png' leads out of the archive",
    "0/../../evil.png": "leads out of the archive",
    "0/..": "leads out of the archive",
    "/etc/evil.png": "'/etc/evil.png' has an absolute path",
    "//evil.png": "has an absolute path",
    "0\\..\\..\\evil.png": "has a backslash",
    "/".join("abcdefghijklmnopq") + ".png": "lies more than 16 deep",
    "/".join(["x" * 200] * 6): "has a name of more than 1024 bytes",
    "x" * 300 + ".png": "has a name of more than",
}


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_refused(opened, tmp_path, pack, name):
    with pytest.raises(BadInput, match=r"pets\.zip can't be used: ") as refusal:
        opened(pack([GOOD, (name, digit_png(0, 1))]))
    assert NAMES[name] in str(refusal.value)
    assert not list(tmp_path.rglob("evil*"))


def test_a_zero_byte_in_a_name_is_refused(opened):
    with pytest.raises(BadInput, match=r"'0/0\.png\\x00\.txt' has a backslash or a zero byte"):
        opened(replace_bytes(zip_of([("0/0.png!.txt", digit_png(0, 0))]), (b"0/0.png!", b"0/0.png\0")))


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("second", ["0/0.png", "0//0.png", "./0/0.png", "0/0.png/1.png"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(opened, pack, second):
    with pytest.raises(BadInput, match="is in it twice, or is a file and a folder"):
        opened(pack([GOOD, (second, digit_png(1, 0))]))


KINDS = {
    "symbolic link": tar_entry("0/link.png", tarfile.SYMTYPE, "/etc/passwd"),
    "link to a folder": tar_entry("0/link", tarfile.SYMTYPE, ".."),
    "hard link": tar_entry("0/link.png", tarfile.LNKTYPE, "0/0.png"),
    "pipe": tar_entry("0/pipe.png", tarfile.FIFOTYPE),
    "device": tar_entry("0/device.png", tarfile.CHRTYPE),
    "disk": tar_entry("0/disk.png", tarfile.BLKTYPE),
    "unknown": tar_entry("0/unknown.png", b"Z"),
    "holes": tar_entry("0/holes.png", tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_neither_file_nor_folder_is_refused_in_a_tar(opened, kind):
    with pytest.raises(BadInput, match=r"'0/\w+(\.png)?' is a link, a device or has holes"):
        opened(tar_of([GOOD, (KINDS[kind], b""), ("0/link/2.png", digit_png(0, 2))]))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_what_is_neither_file_nor_folder_is_refused_in_a_zip(opened, kind):
    with pytest.raises(BadInput, match=r"'0/link' is a link or a device"):
        opened(zip_of([GOOD, (zip_entry("0/link", kind | 0o777), b"/etc"), ("0/link/passwd", digit_png(0, 1))]))


def test_a_member_without_a_name_is_left_out(opened):
    archive = zip_of(digit_files() | {"!": digit_png(0, 0)})
    entry, end = archive.rindex(b"PK\1\2"), archive.rindex(b"PK\5\6")
    nameless = archive[entry : entry + 28] + b"\0\0" + archive[entry + 30 : entry + 46]
    size = (end - archive.index(b"PK\1\2") - 1).to_bytes(4, "little")
    assert opened(archive[:entry] + nameless + archive[end : end + 12] + size + archive[end + 16 :]) == images()


# --- bombs -----------------------------------------------------------------------------------------------------------
BLANK = digit_png(0, 0) + bytes(3 << 20)  # an image that goes on with nothing


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.bz2"])
def test_what_grows_too_much_is_refused(opened, form):
    with pytest.raises(BadInput, match=r"it grows to more than [\d,]+ bytes"):
        opened(FORMS[form]({"0/0.png": BLANK}))


@pytest.mark.parametrize("form", ["tar.gz", "tar.bz2"])
def test_what_is_skipped_counts_too(opened, form):
    with pytest.raises(BadInput, match="it grows to more than"):
        opened(FORMS[form]({"0/zeros.bin": bytes(8 << 20)}))


@pytest.mark.parametrize("form", FORMS)
def test_too_many_members_are_refused(opened, form):
    with pytest.raises(BadInput, match="it has more than 50 entries"):
        opened(FORMS[form]({f"{i}/": b"" for i in range(51)}))


def test_a_member_that_says_that_it_is_small_is_not_read_any_further(opened):
    archive = zip_of({"0/0.png": BLANK, "1/1.png": digit_png(1, 1)})
    size = len(BLANK).to_bytes(4, "little")
    with pytest.raises(BadInput, match=r"'0/0\.png' is damaged or cut short \(Bad CRC-32"):
        opened(replace_bytes(archive, (size, (500).to_bytes(4, "little"))))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_in_a_zip_are_refused(opened, method):
    with pytest.raises(BadInput, match="is compressed in a way that is not read"):
        opened(zip_of(digit_files(), method))


def test_an_encrypted_member_is_refused(opened):
    archive = zip_of([GOOD])
    directory = archive.index(b"PK\1\2")
    encrypted = archive[: directory + 8] + b"\1\0" + archive[directory + 10 :]
    with pytest.raises(BadInput, match=r"'0/0\.png' is encrypted"):
        opened(encrypted)


def test_a_zips_directory_has_a_limit(opened):
    with pytest.raises(BadInput, match="its directory takes more than 64 MiB"):
        opened(zip_with_directory_size(65 << 20))


def test_two_members_in_one_place_are_one_bomb(opened):
    """Every entry of the directory leads to the same data."""
    archive = zip_of({f"0/{i}.png": digit_png(0, 0) + bytes(1 << 20) for i in range(2)})
    directory = archive.index(b"PK\1\2")
    second = archive.index(b"PK\1\2", directory + 1)
    at_first = archive[: second + 42] + bytes(4) + archive[second + 46 :]
    with pytest.raises(BadInput, match=r"is damaged or cut short|grows to more"):
        opened(at_first)


@pytest.mark.parametrize(
    "archive",
    [
        raw_tar(kind=b"x", size=b"77777777777"),  # 8 GiB of further headers
        raw_tar(kind=b"L", size=b"77777777777"),  # and of a name
        raw_tar(kind=b"g", size=b"00010000000", content=bytes(2 << 20)),
        b"".join(raw_tar(kind=b"x", size=b"00000004000", content=bytes(2048), end=b"") for _ in range(800)),
        raw_tar(kind=b"S", size=b"00000000000"),
        raw_tar(kind=b"x", size=b"00000000001", content=b"19 GNU.sparse.size="),
        raw_tar(size=b"\xff" * 12),  # minus one
        raw_tar(size=b"\x80" + b"\xff" * 11),  # 2^88
        raw_tar(size=b"99999999999"),
        raw_tar(size=b"00000001000", content=digit_png(0, 0), end=b""),
    ],
)
def test_headers_made_to_harm_are_refused(opened, archive):
    for content in (archive, gzip.compress(archive)):
        with pytest.raises(BadInput, match=r"pets\.zip can't be used: "):
            opened(content)


# --- damage ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", FORMS)
def test_an_archive_that_is_cut_short_is_refused_wherever_it_is_cut(opened, form):
    whole = FORMS[form](digit_files()).rstrip(b"\0")  # more zeros than a tar needs
    for part in range(1, 12):
        with pytest.raises(BadInput, match=r"pets\.zip (can't be used|is no archive)"):
            opened(whole[: len(whole) * part // 13])


def test_a_tar_whose_header_is_damaged_does_not_end_there(opened):
    whole = bytearray(tar_of(digit_files()))
    whole[whole.index(b"1/0.png")] ^= 1
    with pytest.raises(BadInput, match=r"it is damaged or cut short behind '0/2\.png'"):
        opened(bytes(whole))


@pytest.mark.parametrize("form", FORMS)
def test_random_damage_is_harmless_or_refused(opened, form, tmp_path):
    whole, rng = FORMS[form](digit_files()), np.random.default_rng(0)
    outcomes = set()
    for _ in range(40):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(whole), 4)] = rng.integers(0, 256, 4)
        try:
            outcomes.add(opened(damaged.tobytes()) <= images())
        except BadInput:
            outcomes.add("refused")
    assert outcomes <= {True, "refused"}
    assert "refused" in outcomes
    assert {path.name for path in tmp_path.iterdir()} == {"out", "archive", "build.log"}


@pytest.mark.parametrize("content", [b"", b"text", b"\xfd7zXZ\0" + bytes(600), b"Rar!" + bytes(600), bytes(2000)])
def test_what_is_no_archive_is_told_so(opened, content):
    with pytest.raises(BadInput, match=r"pets\.zip is no archive: a zip, tar, tar\.gz or tar\.bz2"):
        opened(content)


def test_an_abort_or_an_error_of_the_callback_passes_through(opened):
    for error in (Aborted, ZeroDivisionError, OSError):

        def stop(fraction, error=error):
            raise error

        for form in ("zip", "tar.gz"):
            with pytest.raises(error):
                opened(FORMS[form](digit_files()), at=stop)
