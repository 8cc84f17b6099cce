"""Labels of generic datasets: numbers of any shape, or images."""

import tracemalloc
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from datasets.imagedb.foreign.pairs import labels_path
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from digits_project.common.errors import BadInput
from models_app.training.data import pixel_file, pixels
from models_app.training.data.batch_reader import training_batches, validation_batches
from models_app.training.data.crops import InputLayout
from models_app.training.data.pixel_file import PixelFile
from models_app.training.data.pixels import Records, open_images
from models_app.training.engines.interface import NO_LABEL
from tests.support.samples.training_samples import write_records

COUNT, BATCH = 7, 3
SHAPE, PART = (1, 5, 6), (1, 4, 4)


def numbered():
    """uint8, N×H×W×C: every pixel holds the number of its image."""
    return np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 5, 6, 1))


def write(path, labels):
    """Records with these labels: a number or a one-dimensional array for each image, or label images N×H×W×C."""
    with RecordWriter(path) as writer:
        for image, label in zip(numbered(), labels, strict=True):
            writer.write(0.0 if np.ndim(label) == 3 else label, encode(image, "png"))
    if np.ndim(labels[0]) == 3:
        write_records(labels_path(path), labels, [0] * COUNT)
    return path


VECTORS = [np.array([number, -number / 2, 1e6 * number], np.float32) for number in range(COUNT)]
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 2, 1), dtype=np.uint8)
LABELS = {
    "one number": ([-0.25 * number for number in range(COUNT)], (1, 1, 1)),
    "a vector": (VECTORS, (3, 1, 1)),
    "numbers in a shape": ([np.arange(12, dtype=np.float32) * number for number in range(COUNT)], (2, 3, 2)),
    "an image": (IMAGES, (1, 3, 2)),
}


def as_array(labels, shape):
    """The labels as float32, N×shape."""
    array = np.array(labels, np.float32)
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array.reshape(COUNT, *shape)


def open_records(path, label_shape, part=SHAPE):
    return closing(open_images(path, InputLayout(SHAPE, part, label_shape=label_shape), threads=2, tick=lambda: None))


@pytest.mark.parametrize("part", [SHAPE, PART], ids=["whole", "cropped"])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("labels, shape", LABELS.values(), ids=LABELS)
def test_every_image_comes_with_its_label(labels, shape, kept, part, tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_BYTES", kept * pixels.MAX_BYTES)
    path = write(tmp_path / "train.rec", labels)
    with open_records(path, shape, part) as images, closing(training_batches(images, BATCH, seed=1)) as batches:
        assert isinstance(images, PixelFile if kept else Records)
        for batch in islice(batches, 4):
            assert (batch.images.shape, batch.labels.shape) == ((BATCH, *part), (BATCH, *shape))
            assert batch.labels.dtype == np.float32
            assert (batch.labels == as_array(labels, shape)[batch.images[:, 0, 0, 0]]).all()


def test_images_that_fill_up_the_last_batch_of_validation_have_no_label(tmp_path):
    path = write(tmp_path / "val.rec", VECTORS)
    with open_records(path, (3, 1, 1)) as images:
        labels = np.concatenate([batch.labels.copy() for batch in validation_batches(images, BATCH)])
    np.testing.assert_array_equal(labels[:COUNT], as_array(VECTORS, (3, 1, 1)))
    np.testing.assert_array_equal(labels[COUNT:], np.full((2, 3, 1, 1), NO_LABEL, np.float32))


@pytest.mark.parametrize("kept", [True, False])
def test_labels_of_another_shape_are_refused(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_BYTES", kept * pixels.MAX_BYTES)
    path = write(tmp_path / "train.rec", VECTORS)
    refused = pytest.raises(BadInput, match=r"train.rec is damaged: the label of record 0 has another shape")
    with refused, open_records(path, (2, 1, 1)) as images:
        list(validation_batches(images, BATCH))


def test_decoded_images_are_not_reused_for_labels_of_another_kind(tmp_path):
    path = write(tmp_path / "train.rec", [2.0 * number for number in range(COUNT)])
    with open_records(path, (1, 1, 1)) as images:
        generic = next(validation_batches(images, BATCH)).labels.copy()
    categories = InputLayout(SHAPE, SHAPE, categories=13)
    with closing(open_images(path, categories, threads=1, tick=lambda: None)) as images:
        numbers = next(validation_batches(images, BATCH)).labels.copy()
    assert generic.ravel().tolist() == numbers.tolist() == [0, 2, 4]


def test_changed_label_images_beside_the_same_records_are_decoded_again(tmp_path):
    path = write(tmp_path / "train.rec", IMAGES)
    with open_records(path, (1, 3, 2)):
        pass
    write_records(labels_path(path), 255 - IMAGES, [0] * COUNT)
    with open_records(path, (1, 3, 2)) as images:
        labels = next(validation_batches(images, COUNT)).labels.copy()
    np.testing.assert_array_equal(labels, as_array(255 - IMAGES, (1, 3, 2)))


def peak_memory(path, count):
    blank = np.zeros((count, 32, 32, 1), np.uint8)
    write_records(path, blank[:, :2, :2], [0] * count)
    write_records(labels_path(path), blank, [0] * count)
    layout = InputLayout((1, 2, 2), (1, 2, 2), label_shape=(1, 32, 32))
    tracemalloc.start()
    with (
        closing(open_images(path, layout, threads=1, tick=lambda: None)) as images,
        closing(training_batches(images, BATCH, seed=1)) as batches,
    ):
        for _ in islice(batches, count // BATCH):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_file, "CHUNK_BYTES", 50 * 4096)
    peak_memory(tmp_path / "first.rec", 60)  # imports modules, outside of the measurement
    few, many = peak_memory(tmp_path / "few.rec", 60), peak_memory(tmp_path / "many.rec", 300)
    assert many - few < 240 * 4096 / 10
