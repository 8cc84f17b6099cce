"""Each rank reads its rows of every batch, and they are those of the whole batch to the bit."""

from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from models_app.networks import Layer
from models_app.training.data.batch_reader import training_batches, validation_batches
from models_app.training.engines.interface import NO_LABEL
from models_app.training.measures import Tally
from models_app.training.ranks.rank import Ranks
from tests.support.samples.augmentation_samples import EVERYTHING, HSV, augmenter_of, images_of, noise_images
from tests.support.samples.network_samples import network

BATCH = 8


@pytest.fixture(scope="module")
def images():
    """Twenty images, from which crops are taken: an epoch has two batches and a half."""
    return images_of(noise_images(20, (3, 14, 14)), input_shape=(3, 12, 12), mirror=True)


def copies(reading, count=None):
    with closing(reading):
        return [(batch.images.copy(), batch.labels.copy()) for batch in islice(reading, count)]


def training(images, rows, settings):
    augmenter = augmenter_of(images, 1, 2, **settings) if settings else None
    found = copies(training_batches(images, BATCH, 1, start=1, augmenter=augmenter, rows=rows), 4)
    if augmenter:
        augmenter.close()
    return found


def joined(parts):
    """The batches of all ranks, put together row by row."""
    return [tuple(np.concatenate(arrays) for arrays in zip(*batch, strict=True)) for batch in zip(*parts, strict=True)]


@pytest.mark.parametrize("count, sizes", [(1, [8]), (2, [4, 4]), (3, [3, 3, 2]), (8, [1] * 8)])
def test_the_rows_of_all_ranks_are_the_whole_batch(count, sizes):
    rows = [Ranks(number, count).rows(BATCH) for number in range(count)]
    assert [part.stop - part.start for part in rows] == sizes
    assert [row for part in rows for row in range(part.start, part.stop)] == list(range(BATCH))


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("settings", [{}, EVERYTHING | HSV, {"mixup": 0.4}, {"label_smoothing": 0.1}], ids=str)
def test_ranks_read_the_bits_of_the_whole_batch(images, settings, count):
    whole = training(images, None, settings)
    parts = joined([training(images, Ranks(number, count).rows(BATCH), settings) for number in range(count)])
    for one, other in zip(whole, parts, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("count", [2, 8])
def test_ranks_validate_every_image_once_in_the_same_number_of_batches(images, count):
    whole = copies(validation_batches(images, BATCH))
    parts = [copies(validation_batches(images, BATCH, Ranks(number, count).rows(BATCH))) for number in range(count)]
    assert {len(batches) for batches in parts} == {len(whole)}
    counted = [labels[labels != NO_LABEL] for batches in (whole, *parts) for _, labels in batches]
    of_whole, of_parts = np.concatenate(counted[: len(whole)]), np.concatenate(counted[len(whole) :])
    assert (len(of_parts), sorted(of_parts)) == (20, sorted(of_whole))


class Together(Ranks):
    """A rank whose sums include those of the other ranks, which have added theirs before."""

    others = 0.0

    def total(self, array):
        Together.others = Together.others + array
        return Together.others


@pytest.mark.parametrize("normalization", ["VALID", "NONE"])
def test_scores_are_those_of_all_ranks_together(normalization):
    sample = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 10}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), {"normalization": normalization}),
    )
    value = ("ip", "ip")
    scores, labels = np.random.default_rng(1).normal(size=(BATCH, 10)), np.arange(BATCH, dtype=np.float32)
    one = Tally(sample, "train")
    one.add({value: scores}, labels)
    Together.others = 0.0
    for number in range(3):
        rows = (rank := Together(number, 3)).rows(BATCH)
        tally = Tally(sample, "train", ranks=rank)
        tally.add({value: scores[rows]}, labels[rows])
        found = tally.averages()
    assert found.loss == pytest.approx(one.averages().loss)
