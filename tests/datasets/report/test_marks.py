"""Marks: parts that the images of one category have in common, and no others."""

import numpy as np
import pytest

from datasets.report.advice import DatasetFigures, sentences
from datasets.report.image_measures import SIDE, THUMBNAIL_BYTES
from datasets.report.marks import MAX_CATEGORIES, find_marks
from datasets.report.vectors.vector_file import VectorFile

EACH = 40  # images of a category


@pytest.fixture
def noisy():
    """Thumbnails of three categories that show nothing, and their categories."""
    pixels = np.random.default_rng(0).integers(0, 256, (3 * EACH, SIDE, SIDE), np.uint8)
    return pixels, np.repeat(np.arange(3, dtype=np.int32), EACH)


def marks_of(folder, pixels, categories, count=3):
    with VectorFile(folder / "thumbnails", len(pixels), THUMBNAIL_BYTES, "u1") as thumbnails:
        thumbnails.write(0, pixels.reshape(len(pixels), -1))
        return find_marks(thumbnails, categories, count, lambda: None)


def test_a_part_that_only_one_category_has_is_a_mark_with_its_place(noisy, tmp_path):
    pixels, categories = noisy
    pixels[categories == 1, 28:31, 1:9] = 140
    [mark] = marks_of(tmp_path, pixels, categories)
    assert (mark.category, mark.share, mark.place) == (1, 1.0, "at the bottom left")
    assert mark.box == (1 / SIDE, 28 / SIDE, 9 / SIDE, 31 / SIDE)
    assert mark.of_others < 0.15


def test_a_part_that_is_compressed_and_missing_in_some_images_is_still_a_mark(noisy, tmp_path):
    pixels, categories = noisy
    marked = np.flatnonzero(categories == 2)[: int(0.97 * EACH)]
    pixels[marked, 14:18, 14:18] = np.random.default_rng(1).integers(120, 135, (len(marked), 4, 4))
    [mark] = marks_of(tmp_path, pixels, categories)
    assert (mark.category, mark.place) == (2, "in the middle")


def test_what_all_categories_have_in_common_is_no_mark(noisy, tmp_path):
    pixels, categories = noisy
    pixels[:, 0:4] = 255
    assert list(marks_of(tmp_path, pixels, categories)) == []


def test_without_other_categories_or_with_very_many_no_mark_is_looked_for(noisy, tmp_path):
    pixels, categories = noisy
    pixels[categories == 1, 28:31, 1:9] = 140
    assert [list(marks_of(tmp_path, pixels, categories, count)) for count in (1, MAX_CATEGORIES + 1)] == [[], []]


def test_the_sentence_names_the_category_and_the_place(noisy, tmp_path):
    pixels, categories = noisy
    pixels[categories == 0, 1:5, 13:18] = 255
    found = [("cat", mark) for mark in marks_of(tmp_path, pixels, categories)]
    figures = DatasetFigures(120, 0, {"cat": 60, "dog": 60}, 0, 0, 0, 0, {}, found)
    [sentence] = sentences(figures)
    assert sentence.startswith("100% of the images of cat look the same at the top, where ")
    assert "such as a watermark" in sentence
