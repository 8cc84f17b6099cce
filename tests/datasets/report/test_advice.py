"""The sentences of a report."""

import pytest

from datasets.report.advice import DatasetFigures, sentences


def of_copies(count):
    """The sentences on a dataset with so many images of each fault."""
    return sentences(DatasetFigures(1000, 200, {}, count, count, count, count, {"blank": count}))


@pytest.mark.parametrize(
    "count, starts",
    [
        (
            1,
            (
                "1 image shows",
                "1 image of validation and test (0.5%) has",
                "1 image only repeats",
                "1 image (0.1%) seems",
            ),
        ),
        (
            2,
            (
                "2 images show",
                "2 images of validation and test (1.0%) have",
                "2 images only repeat",
                "2 images (0.2%) seem",
            ),
        ),
    ],
)
def test_a_sentence_speaks_of_one_image_and_of_several(count, starts):
    assert all(any(sentence.startswith(f"{start} ") for sentence in of_copies(count)) for start in starts)
