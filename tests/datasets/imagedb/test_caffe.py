"""Mean images that a user provides, and damaged messages of Caffe."""

import contextlib

import numpy as np
import pytest

from datasets.imagedb import PrebuiltSpec, PrebuiltSplit, build_prebuilt
from datasets.imagedb.foreign.datum import parse_blob, parse_datum
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import ignore_progress
from tests.support.samples.prebuilt_samples import (
    blob_proto,
    caffe_order,
    datum,
    message_class,
    photo_crops,
    write_lmdb,
)


@pytest.fixture
def database(tmp_path):
    return write_lmdb(tmp_path / "raw", [datum(caffe_order(image)) for image in photo_crops(3)])


def build_with_mean(directory, images, mean):
    return build_prebuilt(PrebuiltSpec(PrebuiltSplit(images), mean=mean, workers=1), directory, ignore_progress)


@pytest.mark.parametrize("fields", [{"num": 1, "channels": 3, "height": 12, "width": 12}, {"shape": [3, 12, 12]}])
def test_a_mean_from_caffe_is_converted_to_rgb(tmp_path, database, directory, fields):
    mean = np.random.default_rng(1).uniform(0, 255, (3, 12, 12)).astype(np.float32)
    if "shape" in fields:
        fields = {"shape": message_class("BlobProto")().shape.__class__(dim=fields["shape"])}
    (tmp_path / "mean.binaryproto").write_bytes(blob_proto(mean, **fields))
    build_with_mean(directory, database, mean=tmp_path / "mean.binaryproto")
    assert np.array_equal(np.load(directory / "mean.npy"), mean[::-1])


@pytest.mark.parametrize("shape", [(3, 12, 12), (3,), (3, 1, 1)])
def test_a_mean_as_npy_is_used_unchanged_or_repeated_for_every_pixel(tmp_path, database, directory, shape):
    mean = np.random.default_rng(1).uniform(0, 255, shape)
    np.save(tmp_path / "mean.npy", mean)
    build_with_mean(directory, database, mean=tmp_path / "mean.npy")
    expected = np.broadcast_to(mean.reshape(3, *(shape[1:] or (1, 1))), (3, 12, 12)).astype(np.float32)
    assert np.array_equal(np.load(directory / "mean.npy"), expected)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("mean.npy", np.ones((3, 11, 12)), "is 3×11×12, but the images are 3×12×12"),
        ("mean.npy", np.full((3, 12, 12), np.inf), "not finite"),
        ("mean.npy", np.full((3, 12, 12), "x"), "does not hold numbers"),
        ("mean.npy", np.full((3, 12, 12), None), "not a complete .npy file of numbers"),
        ("mean.npy", b"\x93NUMPY\x01\x00", "not a complete .npy file of numbers"),
        ("mean.npy", b"text", "not a complete .npy file of numbers"),
        ("mean.binaryproto", b"\x0a\xff", "can't be read as a .binaryproto: the message is cut short"),
        (
            "mean.binaryproto",
            blob_proto(np.ones(9)),
            "can't be read as a .binaryproto: it says that it is 1×1×1×1, but holds 9",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_mean_file_is_bad_input(tmp_path, database, directory, name, content, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(BadInput, match=message):
        build_with_mean(directory, database, mean=tmp_path / name)


@pytest.mark.parametrize("parse", [parse_datum, parse_blob])
def test_random_damage_of_caffe_messages_causes_only_bad_input(parse):
    """Every exception except BadInput fails the test."""
    random = np.random.default_rng(3)
    messages = [
        datum(np.ones((1, 1, 9), np.float32)),
        datum(np.ones((1, 3, 3), np.uint8)),
        blob_proto(np.ones((1, 3, 3))),
    ]
    for number in range(600):
        message = bytearray(messages[number % 3])
        for _ in range(3):
            message[random.integers(len(message))] = random.integers(256)
        with contextlib.suppress(BadInput):
            parse(bytes(message))
