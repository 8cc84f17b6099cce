"""Batch readers: the order in which they read images, and the file in which they keep decoded images."""

import logging
import os
import tracemalloc
from contextlib import closing
from itertools import chain, islice

import numpy as np
import pytest

from datasets.imagedb.store.records import RecordReader
from digits_project.common.errors import Aborted, BadInput
from models_app.training.data import pixel_file, pixels
from models_app.training.data.batch_reader import (
    batches_per_epoch,
    epoch_order,
    training_batches,
    validation_batches,
)
from models_app.training.data.crops import InputLayout
from models_app.training.data.pixel_file import PixelFile
from models_app.training.data.pixels import Records, open_images
from models_app.training.engines.interface import NO_LABEL
from tests.support.samples.training_samples import write_records

SHAPE, CATEGORIES = (3, 2, 4), 23
COUNT, BATCH = 23, 5
PER_EPOCH = 5  # batches; the last one has three images and is filled up with two


def numbered(count=COUNT):
    """Different images, each labelled with its number."""
    return np.random.default_rng(0).integers(0, 256, (count, 2, 4, 3), dtype=np.uint8), range(count)


@pytest.fixture
def records(tmp_path):
    return write_records(tmp_path / "train.rec", *numbered())


def open_records(path, shape=SHAPE, categories=CATEGORIES, tick=lambda: None):
    return closing(open_images(path, InputLayout(shape, shape, categories=categories), threads=2, tick=tick))


def labels_of(batches):
    """The labels, which are the numbers, of the images in each batch; copies, since the buffers are reused."""
    return [batch.labels.tolist() for batch in batches]


def first_batches(path, count, seed=1, start=0):
    with open_records(path) as images, closing(training_batches(images, BATCH, seed, start)) as batches:
        return labels_of(islice(batches, count))


def test_every_epoch_holds_every_image_once_and_is_filled_up_with_its_first_images(records):
    batches = first_batches(records, 2 * PER_EPOCH)
    assert batches_per_epoch(COUNT, BATCH) == PER_EPOCH
    for epoch in (batches[:PER_EPOCH], batches[PER_EPOCH:]):
        numbers = list(chain(*epoch))
        assert sorted(numbers[:COUNT]) == list(range(COUNT))
        assert numbers[COUNT:] == numbers[:2]


def test_the_order_of_images_depends_on_seed_and_epoch_only(records):
    batches = first_batches(records, 2 * PER_EPOCH)
    assert [list(chain(*batches[i : i + PER_EPOCH]))[:COUNT] for i in (0, PER_EPOCH)] == [
        epoch_order(COUNT, seed=1, epoch=epoch).tolist() for epoch in (0, 1)
    ]
    orders = {tuple(epoch_order(COUNT, seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}
    assert len(orders) == 4


@pytest.mark.parametrize("start", [2, PER_EPOCH - 1, PER_EPOCH, PER_EPOCH + 3])
def test_a_resumed_training_reads_the_same_batches(records, start):
    assert first_batches(records, 4, start=start) == first_batches(records, start + 4)[start:]


def test_a_batch_larger_than_the_split_repeats_its_images(tmp_path):
    path = write_records(tmp_path / "train.rec", *numbered(2))
    [batch] = first_batches(path, 1)
    assert batch == [*batch[:2], *batch[:2], batch[0]]
    assert sorted(batch[:2]) == [0, 1]


def test_validation_reads_every_image_once_in_order(records):
    with open_records(records) as images:
        numbers = labels_of(validation_batches(images, BATCH))
    assert len(numbers) == PER_EPOCH
    assert list(chain(*numbers)) == [*range(COUNT), NO_LABEL, NO_LABEL]


@pytest.mark.parametrize("kept", [True, False])
def test_a_batch_holds_the_pixels_of_its_images(records, kept, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_BYTES", kept * pixels.MAX_BYTES)
    expected = numbered()[0].transpose(0, 3, 1, 2)
    with open_records(records) as images, closing(training_batches(images, BATCH, seed=1)) as batches:
        assert isinstance(images, PixelFile if kept else Records)
        for batch in islice(batches, PER_EPOCH):
            assert (batch.images == expected[batch.labels.astype(int)]).all()


@pytest.mark.parametrize(
    "shape, categories, message",
    [
        ((3, 4, 2), 23, "image 0 of .*train.rec is 2×4×3, but the images of this training are 4×2×3"),
        ((1, 2, 4), 23, "image 0 of .*train.rec is 2×4×3, but the images of this training are 2×4×1"),
        ((3, 2, 4), 22, "image 22 of .*train.rec has label 22, but there are 22 categories"),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
def test_records_that_do_not_fit_the_training_are_a_bad_input(records, shape, categories, message, kept, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_BYTES", kept * pixels.MAX_BYTES)
    with pytest.raises(BadInput, match=message), open_records(records, shape, categories) as images:
        labels_of(validation_batches(images, BATCH))
    assert sorted(p.name for p in records.parent.iterdir()) == ["train.idx", "train.rec"]


def test_records_without_images_are_a_bad_input(tmp_path):
    path = write_records(tmp_path / "train.rec", *numbered(0))
    with pytest.raises(BadInput, match="holds no images"), open_records(path):
        pass


def test_images_are_decoded_once_and_then_read_from_the_file_of_decoded_images(records):
    kept = records.with_suffix(".pixels")
    first = first_batches(records, PER_EPOCH)
    written = kept.stat()
    assert first_batches(records, PER_EPOCH) == first
    assert os.path.samestat(kept.stat(), written)
    assert kept.stat().st_mtime_ns == written.st_mtime_ns
    assert sorted(p.name for p in records.parent.iterdir()) == ["train.idx", "train.pixels", "train.rec"]


def test_changed_records_are_decoded_again(records):
    with open_records(records):
        pass
    images, labels = numbered()
    write_records(records, 255 - images, labels)
    batch, found = np.empty((COUNT, *SHAPE), np.uint8), np.empty(COUNT, np.float32)
    with open_records(records) as again:
        again.read(range(COUNT), batch, found)
    assert (batch == 255 - images.transpose(0, 3, 1, 2)).all()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data[1:], lambda data: b""])
def test_a_damaged_file_of_decoded_images_is_written_again(records, damage):
    kept = records.with_suffix(".pixels")
    first = first_batches(records, PER_EPOCH)
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert first_batches(records, PER_EPOCH) == first
    assert kept.read_bytes() == whole


def test_images_are_decoded_each_time_if_their_file_cannot_be_written(records, caplog):
    expected = first_batches(records, 2 * PER_EPOCH)
    records.with_suffix(".pixels").unlink()
    records.with_name(".train.pixels.part").mkdir()  # a folder in its place stops even root
    with caplog.at_level(logging.WARNING), open_records(records) as images:
        assert isinstance(images, Records)
    assert "can't be stored decoded" in caplog.text
    assert first_batches(records, 2 * PER_EPOCH) == expected


def test_an_abort_while_decoding_leaves_no_file_behind(records):
    def abort():
        raise Aborted("aborted by the test")

    with pytest.raises(Aborted), open_records(records, tick=abort):
        pass
    assert sorted(p.name for p in records.parent.iterdir()) == ["train.idx", "train.rec"]


def test_a_record_damaged_during_a_training_is_a_bad_input(records, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_BYTES", 0)
    with RecordReader(records) as reader:
        _, payload = reader[COUNT - 1]
    data = records.read_bytes()
    at = data.rindex(payload)
    records.write_bytes(data[:at] + bytes(len(payload)) + data[at + len(payload) :])
    with pytest.raises(BadInput), open_records(records) as images:
        labels_of(validation_batches(images, BATCH))


def peak_memory(path, count):
    write_records(path, np.zeros((count, 32, 32, 3), np.uint8), [0] * count)
    tracemalloc.start()
    with open_records(path, (3, 32, 32), 1) as images, closing(training_batches(images, BATCH, seed=1)) as batches:
        for _ in islice(batches, batches_per_epoch(count, BATCH)):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_file, "CHUNK_BYTES", 100 * 3072)
    peak_memory(tmp_path / "first.rec", 100)  # imports modules, outside of the measurement
    few, many = peak_memory(tmp_path / "few.rec", 200), peak_memory(tmp_path / "many.rec", 2000)
    assert many - few < 1800 * 3072 / 10
