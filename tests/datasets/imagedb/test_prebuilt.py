"""Databases built by other programs: LMDB and RecordIO, with labels of several kinds, damaged and invalid ones."""

import faulthandler
import os
import signal
import struct
import sys

import numpy as np
import pytest

from datasets.imagedb import PrebuiltSpec, PrebuiltSplit, build_prebuilt
from datasets.imagedb.foreign.database import LmdbDatabase
from datasets.imagedb.foreign.pairs import Pairs
from datasets.imagedb.store.records import DamagedRecords, RecordReader, RecordWriter
from digits_project.common.errors import Aborted, BadInput
from models_app.training.engines.mxnet.compat import mx
from tests.support.samples.imagedb_samples import ignore_progress
from tests.support.samples.prebuilt_samples import (
    caffe_order,
    datum,
    encoded_datum,
    message_class,
    photo_crops,
    write_lmdb,
)

COUNT = 40  # enough for more than two tasks of the worker pool


@pytest.fixture
def images():
    return photo_crops(COUNT)


@pytest.fixture
def raw_database(tmp_path, images):
    """An LMDB of raw Datum messages, labelled 0, 1, 2, 0, …"""
    return write_lmdb(tmp_path / "raw", [datum(caffe_order(image), i % 3) for i, image in enumerate(images)])


def build_from(directory, images, labels=None, **others):
    return build_prebuilt(PrebuiltSpec(PrebuiltSplit(images, labels), workers=2, **others), directory, ignore_progress)


def read_pairs(directory, built, split="train"):
    with Pairs(directory / f"{split}.rec", built.label_shape) as pairs:
        return [pairs[number] for number in range(len(pairs))]


def test_raw_images_are_converted_to_rgb_and_keep_their_labels(raw_database, images, directory):
    built = build_from(directory, raw_database)
    assert (built.entries, built.image_shape, built.label_shape) == ({"train": COUNT}, (3, 12, 12), (1, 1, 1))
    pairs = read_pairs(directory, built)
    assert all(np.array_equal(pixels, image) for (pixels, _), image in zip(pairs, images, strict=True))
    assert [label.item() for _, label in pairs] == [i % 3 for i in range(COUNT)]
    mean = np.load(directory / "mean.npy")
    assert np.allclose(mean, images.mean(axis=0).transpose(2, 0, 1), atol=1e-4)
    assert {path.name for path in directory.iterdir()} == {
        "build.log", "mean.npy", "mean.png", "train.idx", "train.rec"
    }  # fmt: skip


def test_encoded_images_of_one_channel_stay_gray(tmp_path, images, directory):
    gray = images[:, :, :, 0]
    built = build_from(directory, write_lmdb(tmp_path / "encoded", [encoded_datum(image) for image in gray]))
    assert built.image_shape == (1, 12, 12)
    assert np.array_equal(read_pairs(directory, built)[3][0][:, :, 0], gray[3])


@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 1, 5), (3, 2, 4), (1, 12, 12)])
def test_float_labels_of_any_shape_keep_their_values(tmp_path, raw_database, directory, shape):
    labels = np.random.default_rng(1).normal(size=(COUNT, *shape)).astype(np.float32)
    built = build_from(directory, raw_database, write_lmdb(tmp_path / "labels", [datum(label) for label in labels]))
    assert (built.label_shape, built.label_images) == (shape, False)
    values = np.stack([label for _, label in read_pairs(directory, built)])
    assert values.dtype == np.float32
    assert np.array_equal(values, labels)


def test_label_images_are_stored_as_records(tmp_path, raw_database, images, directory):
    masks = (images[:, :9, :7, 1] > 100).astype(np.uint8)
    built = build_from(
        directory, raw_database, write_lmdb(tmp_path / "labels", [encoded_datum(mask) for mask in masks])
    )
    assert (built.label_shape, built.label_images) == ((1, 9, 7), True)
    assert np.array_equal(np.stack([label[0] for _, label in read_pairs(directory, built)]), masks)
    assert (directory / "train_labels.rec").exists()


def test_a_byte_vector_as_label_keeps_its_order(tmp_path, raw_database, directory):
    labels = [np.array([i, 2 * i, 3], np.uint8).reshape(3, 1, 1) for i in range(COUNT)]
    built = build_from(directory, raw_database, write_lmdb(tmp_path / "labels", [datum(label) for label in labels]))
    assert read_pairs(directory, built)[5][1].ravel().tolist() == [5, 10, 3]


def write_mxnet_records(path, payloads, labels):
    """Write a .rec file without an .idx file with MXNet."""
    record = mx.recordio.MXRecordIO(str(path), "w")
    for number, (payload, label) in enumerate(zip(payloads, labels, strict=True)):
        record.write(pack(label, number, payload))
    record.close()
    return path


def pack(label, number, payload):
    """The result of `mx.recordio.pack`, which with several labels calls an array method that NumPy has removed."""
    if np.ndim(label) == 0:
        return mx.recordio.pack(mx.recordio.IRHeader(0, label, number, 0), payload)
    return struct.pack("IfQQ", len(label), 0, number, 0) + np.asarray(label, np.float32).tobytes() + payload


@pytest.mark.parametrize("label", [4.5, [0.25, -1.5, 7.0]])
def test_a_recordio_file_of_mxnet_with_one_or_several_labels_is_read(tmp_path, images, directory, label):
    payloads = [message_class("Datum").FromString(encoded_datum(image)).data for image in images]
    built = build_from(directory, write_mxnet_records(tmp_path / "images.rec", payloads, [label] * COUNT))
    assert built.label_shape == (np.size(label), 1, 1)
    pixels, labels = read_pairs(directory, built)[-1]
    assert np.array_equal(pixels, images[-1])
    assert np.array_equal(labels.ravel(), np.ravel(label))


def test_mxnet_reads_records_with_several_labels(tmp_path):
    with RecordWriter(tmp_path / "a.rec") as writer:
        writer.write(np.array([1.5, 2.5], np.float32), b"payload")
    header, payload = mx.recordio.unpack(mx.recordio.MXRecordIO(str(tmp_path / "a.rec"), "r").read())
    assert (header.label.tolist(), payload) == ([1.5, 2.5], b"payload")


def test_a_record_with_several_labels_is_rejected_where_one_is_expected(tmp_path):
    with RecordWriter(tmp_path / "a.rec") as writer:
        writer.write(np.array([1.5, 2.5], np.float32), b"payload")
    with RecordReader(tmp_path / "a.rec") as reader, pytest.raises(DamagedRecords, match="2 labels, not one"):
        reader[0]


def test_validation_images_must_have_the_shape_of_the_training_images(tmp_path, raw_database, images, directory):
    val = write_lmdb(tmp_path / "val", [datum(caffe_order(image)) for image in images[:3]])
    built = build_from(directory, raw_database, val=PrebuiltSplit(val))
    assert built.entries == {"train": COUNT, "val": 3}
    small = write_lmdb(tmp_path / "small", [datum(caffe_order(image[:5])) for image in images[:3]])
    with pytest.raises(BadInput, match=r"entry '00000000' of .*small.* is 3×5×12 .* is 3×12×12 .* must be alike"):
        build_from(directory, raw_database, val=PrebuiltSplit(small))
    assert list(directory.iterdir()) == []


def test_different_numbers_of_images_and_labels_are_bad_input(tmp_path, raw_database, directory):
    labels = write_lmdb(tmp_path / "labels", [datum(np.ones((1, 1, 1), np.float32))] * 39)
    with pytest.raises(BadInput, match=r"raw has 40 entries, but .*labels has 39"):
        build_from(directory, raw_database, labels)


def test_different_keys_of_images_and_labels_are_a_warning(tmp_path, raw_database, directory):
    labels = write_lmdb(tmp_path / "labels", [datum(np.ones((1, 1, 1), np.float32))] * COUNT, key="k{:08}")
    assert (
        "their keys differ; the first pair is '00000000' and 'k00000000'."
        in build_from(directory, raw_database, labels).warnings[0]
    )


DATUM = message_class("Datum")


@pytest.mark.parametrize(
    "entry, message",
    [
        (datum(caffe_order(photo_crops(1)[0]))[:-40], "the message is cut short"),
        (DATUM(channels=3, height=9, width=9, data=b"1234").SerializeToString(), "it is 3×9×9, but holds 4"),
        (DATUM(channels=1, height=-1, width=-4, data=b"1234").SerializeToString(), "it says that it is 1×-1×-4"),
        (DATUM(channels=2**31 - 1, height=2**31 - 1, width=9, data=b"x").SerializeToString(), "but holds 1 values"),
        (DATUM(encoded=True, data=b"\x89PNG\r\n\x1a\n" + bytes(30)).SerializeToString(), "damaged PNG: its header can"),
        (DATUM(encoded=True).SerializeToString(), "the file is empty"),
        (DATUM(label=1).SerializeToString(), "it holds neither data nor float_data"),
        (datum(np.ones((3, 12, 12), np.float32)), "holds numbers, not an 8-bit image"),
        (datum(np.ones((4, 12, 12), np.uint8)), "has 4 channels; an image has 1"),
        (datum(np.ones((1, 12, 12), np.uint8)), "is 1×12×12 with numbers of 1×1×1 as label; entry"),
        (b"\x0b", "has an unknown type"),
        (b"\xff" * 40, "is too long"),
        (b"", "it holds neither data nor float_data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_invalid_database_entry_is_named(tmp_path, images, directory, entry, message):
    entries = [datum(caffe_order(image)) for image in images]
    entries[17] = entry
    with pytest.raises(BadInput) as error:
        build_from(directory, write_lmdb(tmp_path / "images", entries))
    assert "ntry '00000017' of" in str(error.value)
    assert message in str(error.value)
    assert list(directory.iterdir()) == []


def test_a_label_that_is_not_finite_is_bad_input(tmp_path, raw_database, directory):
    labels = write_lmdb(tmp_path / "labels", [datum(np.full((1, 1, 1), np.nan, np.float32))] * COUNT)
    with pytest.raises(BadInput, match="label of entry '00000000' is not a finite number"):
        build_from(directory, raw_database, labels)


@pytest.mark.parametrize("length", [0, 10, 4096, 8192, 20_000])
def test_a_truncated_lmdb_is_bad_input(raw_database, directory, length):
    os.truncate(raw_database / "data.mdb", length)
    with pytest.raises(BadInput, match=r"raw.*(neither an LMDB nor|damaged LMDB|holds no images)"):
        build_from(directory, raw_database)


@pytest.fixture
def _no_crash_traceback():
    """Keep the tracebacks of workers that crash on purpose out of the test output."""
    faulthandler.disable()
    yield
    faulthandler.enable(sys.__stderr__)


@pytest.mark.usefixtures("_no_crash_traceback")
def test_random_damage_of_an_lmdb_causes_only_bad_input(tmp_path, raw_database, images, directory):
    content = (raw_database / "data.mdb").read_bytes()
    random = np.random.default_rng(5)
    for _ in range(12):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = random.integers(40, len(damaged), 400)
        damaged[places] = random.integers(0, 256, 400)
        (raw_database / "data.mdb").write_bytes(damaged.tobytes())
        with pytest.raises(BadInput):
            build_from(directory, raw_database)


@pytest.mark.usefixtures("_no_crash_traceback")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS])
def test_a_crash_of_the_database_reader_is_bad_input(raw_database, directory, monkeypatch, number):
    monkeypatch.setattr(LmdbDatabase, "parse", lambda self, content: os.kill(os.getpid(), number))
    with pytest.raises(BadInput, match="A database is damaged: reading it crashed the process"):
        build_from(directory, raw_database)


def test_a_killed_database_reader_is_reported_as_out_of_memory(raw_database, directory, monkeypatch):
    monkeypatch.setattr(LmdbDatabase, "parse", lambda self, content: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RuntimeError, match="ran out of memory"):
        build_from(directory, raw_database)


@pytest.mark.parametrize("end", [-3, -30, 5])
def test_a_truncated_record_file_is_bad_input(tmp_path, directory, end):
    path = write_mxnet_records(tmp_path / "images.rec", [b"x" * 50] * 3, [0] * 3)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(BadInput, match=r"images.rec is (damaged|neither)"):
        build_from(directory, path)


def test_a_record_with_a_wrong_number_of_labels_is_bad_input(tmp_path, directory):
    path = write_mxnet_records(tmp_path / "images.rec", [b"x" * 50] * 3, [0] * 3)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 8, 2**32 - 1)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"Entry 0 of .*: it is too short for its 4294967295 labels"):
        build_from(directory, path)


@pytest.mark.parametrize("name", ["nothing", "text", "folder", "pipe"])
def test_a_path_that_is_no_database_is_bad_input(tmp_path, directory, name):
    (tmp_path / "text").write_text("no database at all, but long enough for its head")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        BadInput,
        match=rf"{name} (does not exist|holds no data.mdb|is neither an LMDB|can.t be read: not a regular file)",
    ):
        build_from(directory, tmp_path / name)


def test_an_aborted_prebuilt_dataset_leaves_no_files(raw_database, directory):
    def abort(fraction):
        raise Aborted

    with pytest.raises(Aborted):
        build_prebuilt(PrebuiltSpec(PrebuiltSplit(raw_database)), directory, abort)
    assert list(directory.iterdir()) == []
