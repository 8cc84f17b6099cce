"""Zips of other tools: names with backslashes, in other alphabets, and folders around folders."""

import zipfile

import pytest

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers.archive import unpack
from digits_project.common.errors import BadInput
from tests.support.samples.archive_samples import digit_png, replace_bytes, zip_entry, zip_of
from tests.support.samples.imagedb_samples import ignore_progress

DOS = 0


@pytest.fixture
def opened(tmp_path):
    """Unpacks a zip; the files that came out, below the folder of the categories, and the warnings."""

    def opened(content):
        (tmp_path / "archive").write_bytes(content)
        with BuildLog(tmp_path / "build.log") as log:
            log.call(tmp_path / "out", "pets.zip")
            top = unpack(tmp_path / "archive", "pets.zip", tmp_path / "out", log, ignore_progress, (tmp_path,))
        return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}, log.warnings

    return opened


def entry(name, system=DOS):
    """The head of a member with this very name; ZipInfo would cut it at a zero byte."""
    info = zipfile.ZipInfo("x")
    info.filename, info.create_system = name, system
    return info


def zip_in(encoding, names):
    """A zip with names in an encoding that it does not name, as Windows packs them: Python would write UTF-8 and say
    so, hence names of the same length take their place at first."""
    stand_ins = {f"{'x' * (len(name.encode(encoding)) - 2)}{number:02}": name for number, name in enumerate(names)}
    content = zip_of([(entry(name), digit_png(number % 2, number)) for number, name in enumerate(stand_ins)])
    return replace_bytes(content, *((old.encode(), new.encode(encoding)) for old, new in stand_ins.items()))


def test_the_backslashes_of_powershell_are_slashes(opened):
    members = [(entry(f"data\\{digit}\\{n}.png"), digit_png(digit, n)) for digit in (0, 1) for n in (0, 1)]
    files, warnings = opened(zip_of([(entry("data\\"), b""), (entry("data\\0\\"), b""), *members]))
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
def test_backslashes_lead_nowhere_else(opened, tmp_path, name, message):
    with pytest.raises(BadInput, match=message):
        opened(zip_of([(entry(name), digit_png(0, 0))]))
    assert not list(tmp_path.rglob("evil*"))


def test_a_backslash_in_a_zip_of_unix_is_part_of_a_name_and_refused(opened):
    info = zip_entry("x", 0o100644)
    info.filename = "0\\1.png"
    with pytest.raises(BadInput, match="has a backslash"):
        opened(zip_of([(info, digit_png(0, 0))]))


@pytest.mark.parametrize("around", ["a/b/", "a/b/c/d/", "data/data/"])
def test_several_folders_around_the_categories_are_passed(opened, around):
    files, _ = opened(zip_of({f"{around}{digit}/{n}.png": digit_png(digit, n) for digit in (0, 1) for n in (0, 1)}))
    assert files == {"0/0.png", "0/1.png", "1/0.png", "1/1.png"}


def test_an_image_beside_the_folder_around_the_categories_does_not_hide_them(opened):
    members = {f"data/{digit}/{n}.png": digit_png(digit, n) for digit in (0, 1) for n in (0, 1)}
    files, _ = opened(zip_of(members | {"preview.png": digit_png(0, 0)}))
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
def test_names_in_an_alphabet_that_a_zip_does_not_name_are_read_as_they_were_written(opened, encoding):
    files, warnings = opened(zip_in(encoding, NAMES[encoding]))
    assert files == set(NAMES[encoding])
    assert len(warnings) == (encoding != "utf-8")


def test_how_names_were_read_is_said(opened):
    _, warnings = opened(zip_in("gbk", NAMES["gbk"]))
    assert warnings == [
        "pets.zip does not say how its names are encoded; they were read as gb18030. If they look wrong, pack them as "
        "UTF-8 (7-Zip: cu=on), or as tar."
    ]


def test_names_that_are_marked_as_utf8_are_taken_as_such(opened):
    files, warnings = opened(zip_of({"猫/1.png": digit_png(0, 0), "狗/1.png": digit_png(1, 0)}))
    assert (files, warnings) == ({"猫/1.png", "狗/1.png"}, [])
