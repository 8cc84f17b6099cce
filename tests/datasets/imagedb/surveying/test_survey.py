"""The survey of images before a build: categories, samples, skipped files, sizes, and archives."""

import itertools
from io import BytesIO

import pytest
from PIL import Image

from datasets.imagedb import FolderSource
from datasets.imagedb.surveying.proposals import bytes_per_image, propose_size, resized
from datasets.imagedb.surveying.survey import Survey, survey
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput
from tests.support.samples.archive_samples import digit_files, tar_of, zip_of


def write(folder, names, size=(40, 30), mode="RGB"):
    """Write an image under each of these names."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, 7 * number % 256 if mode == "L" else (7 * number % 256, 0, 0)).save(path)
    return folder


@pytest.fixture
def look(tmp_path):
    """A function that surveys a folder or an archive."""
    numbers = itertools.count()

    def look(path, **others):
        aside = tmp_path / f"aside{next(numbers)}"
        aside.mkdir()
        return survey({"train": FolderSource(path, name="photos")} | others, EVERYWHERE, aside)

    return look


def counts(found):
    return {category.name: category.counts for category in found.categories}


def test_a_survey_counts_the_images_of_each_category_and_shows_nine(look, tmp_path):
    folder = write(tmp_path / "photos", [f"{name}/{n}.png" for name in ("cats", "dogs") for n in range(12)])
    (folder / "dogs" / "broken.png").write_text("no image")
    (folder / "dogs" / "README.txt").write_text("text")
    (folder / "beside.jpg").write_bytes((folder / "cats" / "1.png").read_bytes())
    found = look(folder)
    assert counts(found) == {"cats": {"train": 12}, "dogs": {"train": 12}}
    assert [len(category.pictures) for category in found.categories] == [9, 9]
    assert Image.open(BytesIO(found.categories[0].pictures[0])).size == (72, 72)
    assert (found.is_complete, found.skipped) == (True, 2)
    assert any(line.startswith(f"{folder}/dogs/broken.png: its content") for line in found.skipped_files)


@pytest.mark.parametrize("pack", [zip_of, tar_of, lambda files: tar_of(files, "w:gz")])
def test_a_survey_of_an_archive_finds_what_a_build_would_unpack(look, tmp_path, pack):
    archive = tmp_path / "pets"
    archive.write_bytes(pack(digit_files("pets/", counts=(40, 4))))
    found = look(archive)
    assert counts(found) == {"0": {"train": 40}, "1": {"train": 4}}
    assert [len(category.pictures) for category in found.categories] == [9, 4]
    assert found.skipped == 0
    assert found.are_gray


def test_a_survey_finds_splits_in_the_folder_and_beside_it(look, tmp_path):
    inside = write(tmp_path / "inside", [f"{s}/{c}/{n}.png" for s in ("train", "val") for c in "ab" for n in range(2)])
    other = write(tmp_path / "other", ["a/1.png", "c/1.png"])
    assert look(inside).splits == ["train", "val"]
    assert counts(look(inside))["a"] == {"train": 2, "val": 2}
    found = look(inside / "train", test=FolderSource(other))
    assert counts(found) == {"a": {"train": 2, "test": 1}, "b": {"train": 2}, "c": {"test": 1}}


def test_a_survey_refuses_what_a_build_would_refuse(look, tmp_path):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(BadInput, match="holds no images"):
        look(tmp_path / "empty")
    (tmp_path / "hostile").write_bytes(zip_of([("../evil.png", b"")]))
    with pytest.raises(BadInput, match=r"photos can't be used: .* leads out of the archive"):
        look(tmp_path / "hostile")


def test_a_survey_that_takes_too_long_is_incomplete_and_names_every_category(tmp_path):
    folder = write(tmp_path / "photos", [f"{name}/{n}.png" for name in ("cats", "dogs") for n in range(3)])
    aside = tmp_path / "late"
    aside.mkdir()
    found = survey({"train": FolderSource(folder)}, EVERYWHERE, aside, seconds=0.0)
    assert (found.is_complete, [category.name for category in found.categories]) == (False, ["cats", "dogs"])


@pytest.mark.parametrize(
    "sizes, proposed",
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(200, 100)] * 3, (200, 100)),
        ([(4000, 3000), (3000, 4000)], (256, 256)),
        ([(150, 140), (130, 200)], (128, 128)),
        ([(20, 10), (30, 10)], (32, 32)),
    ],
)
def test_the_proposed_size_follows_the_shorter_side_of_the_images(sizes, proposed):
    assert propose_size(Survey(sizes=sizes))[:2] == proposed


def test_no_size_is_proposed_without_a_readable_image():
    assert propose_size(Survey()) is None


def test_the_examples_have_the_size_of_the_dataset_in_each_mode(look, tmp_path):
    found = look(write(tmp_path / "photos", [f"{c}/{n}.png" for c in "ab" for n in range(3)], size=(400, 300)))
    example = resized(found, 32, 48, 1, "fill")
    assert {(picture.size, picture.mode) for picture in example.pictures} == {((32, 48), "L")}
    sizes = bytes_per_image(example)
    assert sizes["png"] < sizes["none"]
    assert sizes["none"] > 32 * 48
    large = resized(found, 4096, 2048, 3, "crop")
    assert {picture.size for picture in large.pictures} == {(768, 384)}
    assert bytes_per_image(large)["none"] == pytest.approx(4096 * 2048 * 3, rel=0.01)
