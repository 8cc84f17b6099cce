"""Zip files of other tools: names with backslashes and in other encodings, and outer folders."""

import zipfile

import pytest

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers.archive import unpack
from digits_project.common.errors import BadInput
from tests.support.samples.archive_samples import digit_png, replace_bytes, zip_entry, zip_of
from tests.support.samples.imagedb_samples import ignore_progress

MADE_ON_DOS = 0


@pytest.fixture
def unpack_zip(tmp_path):
    """A function that unpacks a zip and returns the paths below the folder of the categories, and the warnings."""

    def unpack_zip(content):
        (tmp_path / "archive").write_bytes(content)
        with BuildLog(tmp_path / "build.log") as log:
            log.call(tmp_path / "out", "pets.zip")
            top = unpack(tmp_path / "archive", "pets.zip", tmp_path / "out", log, ignore_progress, (tmp_path,))
        return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}, log.warnings

    return unpack_zip


def zip_info(name, system=MADE_ON_DOS):
    """The header of a zip member; the name is set afterwards, because ZipInfo() itself changes special characters."""
    info = zipfile.ZipInfo("x")
    info.filename, info.create_system = name, system
    return info


def zip_with_encoding(encoding, names):
    """A zip with names in an undeclared encoding, as Windows writes them.

    Python would write and declare UTF-8, so that ASCII names of the same length are written first and then replaced.
    """
    stand_ins = {f"{'x' * (len(name.encode(encoding)) - 2)}{number:02}": name for number, name in enumerate(names)}
    content = zip_of([(zip_info(name), digit_png(number % 2, number)) for number, name in enumerate(stand_ins)])
    return replace_bytes(content, *((old.encode(), new.encode(encoding)) for old, new in stand_ins.items()))


def test_backslashes_in_a_zip_from_windows_are_read_as_slashes(unpack_zip):
    members = [(zip_info(f"data\\{digit}\\{n}.png"), digit_png(digit, n)) for digit in (0, 1) for n in (0, 1)]
    files, warnings = unpack_zip(zip_of([(zip_info("data\\"), b""), (zip_info("data\\0\\"), b""), *members]))
    assert files == {"0/0.png", "0/1.png", "1/0.png", "1/1.png"}
    assert warnings == []


@pytest.mark.parametrize(
    "name, message",
    [
        ("0\\..\\..\\evil.png", "leads out of the archive"),
        ("\\etc\\evil.png", "has an absolute path"),
        ("0/a\\..\\evil.png", "has a backslash"),
    ],
)
def test_backslashes_cannot_lead_out_of_a_zip(unpack_zip, tmp_path, name, message):
    with pytest.raises(BadInput, match=message):
        unpack_zip(zip_of([(zip_info(name), digit_png(0, 0))]))
    assert not list(tmp_path.rglob("evil*"))


def test_a_backslash_in_a_zip_from_unix_is_rejected(unpack_zip):
    info = zip_entry("x", 0o100644)
    info.filename = "0\\1.png"
    with pytest.raises(BadInput, match="has a backslash"):
        unpack_zip(zip_of([(info, digit_png(0, 0))]))


@pytest.mark.parametrize("outer", ["a/b/", "a/b/c/d/", "data/data/"])
def test_outer_folders_of_a_zip_are_skipped(unpack_zip, outer):
    files, _ = unpack_zip(zip_of({f"{outer}{digit}/{n}.png": digit_png(digit, n) for digit in (0, 1) for n in (0, 1)}))
    assert files == {"0/0.png", "0/1.png", "1/0.png", "1/1.png"}


def test_an_image_beside_the_outer_folder_of_a_zip_is_ignored(unpack_zip):
    members = {f"data/{digit}/{n}.png": digit_png(digit, n) for digit in (0, 1) for n in (0, 1)}
    files, _ = unpack_zip(zip_of(members | {"preview.png": digit_png(0, 0)}))
    assert files == {"0/0.png", "0/1.png", "1/0.png", "1/1.png"}


NAMES = {
    "gbk": ["猫/一.png", "狗/二.png", "猫/三只小猫.png"],
    "gb18030": ["猫/一.png", "狗/镕基.png", "龟/三.png"],
    "cp932": ["ねこ/一.png", "いぬ/二.png", "カメ/三.png"],
    "cp949": ["고양이/하나.png", "강아지/둘.png", "거북이/셋.png"],
    "utf-8": ["café/一.png", "犬/二.png"],
    "cp437": ["café/1.png", "Grün/2.png", "gâteau/3.png", "pétale/4.png", "Öl/5.png"],
}


@pytest.mark.parametrize("encoding", NAMES)
def test_zip_names_in_an_undeclared_encoding_are_decoded(unpack_zip, encoding):
    files, warnings = unpack_zip(zip_with_encoding(encoding, NAMES[encoding]))
    assert files == set(NAMES[encoding])
    assert len(warnings) == (encoding != "utf-8")


def test_the_detected_encoding_of_zip_names_is_a_warning(unpack_zip):
    _, warnings = unpack_zip(zip_with_encoding("gbk", NAMES["gbk"]))
    assert warnings == [
        "pets.zip does not say how its names are encoded; they were read as gb18030. If they look wrong, pack the "
        "archive with names in UTF-8 (7-Zip: cu=on), or as tar."
    ]


def test_zip_names_declared_as_utf_8_are_read_without_a_warning(unpack_zip):
    files, warnings = unpack_zip(zip_of({"猫/1.png": digit_png(0, 0), "狗/1.png": digit_png(1, 0)}))
    assert (files, warnings) == ({"猫/1.png", "狗/1.png"}, [])
