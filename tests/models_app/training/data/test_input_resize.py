"""Images of another size than the network's: a square of each is scaled, with the same bits in training and answers."""

from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb.images.resize import InputResize
from digits_project.common.errors import BadInput
from inference.engine.predictor import Predictor
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.data import pixels
from models_app.training.data.batch_reader import training_batches, validation_batches
from models_app.training.data.crops import InputLayout, layout_of
from models_app.training.data.mean_pixels import read_mean
from models_app.training.data.pixel_file import PixelFile
from models_app.training.data.pixels import Records, open_images
from models_app.training.trainer import train
from tests.support.samples.network_samples import chain
from tests.support.samples.training_samples import (
    config_of,
    events_of_kind,
    snapshot_weights,
    softmax_network,
    write_digits_dataset,
    write_records,
)

COUNT, BATCH = 7, 4
STORED = (3, 18, 23)
RESIZES = [InputResize(16, 8, "bilinear"), InputResize(13, 29, "bicubic"), InputResize(18, 8, "bicubic")]


def photos() -> np.ndarray:
    """uint8, N×H×W×C."""
    return np.random.default_rng(3).integers(0, 256, (COUNT, *STORED[1:], 3), dtype=np.uint8)


def scaled_by_pillow(photo: np.ndarray, resize: InputResize, top: int, left: int) -> np.ndarray:
    """A square of a colour image scaled as one picture, C×H×W."""
    square = photo[top : top + resize.window, left : left + resize.window]
    scaled = Image.fromarray(square).resize((resize.size,) * 2, Image.Resampling[resize.interpolation.upper()])
    return np.asarray(scaled).transpose(2, 0, 1)


@pytest.fixture(params=[True, False], ids=["kept decoded", "decoded each time"])
def opened(tmp_path, request, monkeypatch):
    """A function that opens records of photos, read from the file of decoded images or decoded each time."""
    monkeypatch.setattr(pixels, "MAX_BYTES", request.param * pixels.MAX_BYTES)
    path = write_records(tmp_path / "train.rec", photos(), range(COUNT))

    def open_with(resize: InputResize):
        layout = InputLayout(STORED, (3, resize.size, resize.size), categories=COUNT, resize=resize)
        images = open_images(path, layout, threads=2, tick=lambda: None)
        assert isinstance(images, PixelFile if request.param else Records)
        return closing(images)

    return open_with


@pytest.mark.parametrize("resize", RESIZES)
def test_validation_takes_the_scaled_middle_of_each_image(opened, resize):
    top, left = (STORED[1] - resize.window) // 2, (STORED[2] - resize.window) // 2
    with opened(resize) as images:
        batches = [batch.images.copy() for batch in validation_batches(images, BATCH)]
    expected = [scaled_by_pillow(photo, resize, top, left) for photo in photos()]
    assert (np.concatenate(batches)[:COUNT] == expected).all()


@pytest.mark.parametrize("resize", RESIZES)
def test_training_scales_a_square_at_a_random_place(opened, resize):
    places = [(top, left) for top in range(STORED[1] - resize.window + 1)
              for left in range(STORED[2] - resize.window + 1)]  # fmt: skip
    possible = {
        scaled_by_pillow(photo, resize, *place).tobytes(): (number, place)
        for number, photo in enumerate(photos())
        for place in places
    }
    found = []
    with opened(resize) as images, closing(training_batches(images, BATCH, seed=1)) as batches:
        for batch in islice(batches, 40):
            taken = [possible[image.tobytes()] for image in batch.images]
            assert [number for number, _ in taken] == batch.labels.tolist()
            found += [place for _, place in taken]
    assert len(set(found)) > len(places) / 2


def test_a_flipped_square_is_scaled_too(opened):
    resize = RESIZES[0]
    with opened(resize) as images:
        made, labels = np.empty((2, 3, 8, 8), np.uint8), np.empty(2, np.float32)
        window = images.layout.centre(1)[0]
        images.read([5, 5], made, labels, [window, window._replace(flipped=True)])
    assert np.abs(made[0].astype(int) - made[1, :, :, ::-1]).max() <= 1  # of rounding
    assert (made[0] != made[1]).any()


@pytest.mark.parametrize("resize", RESIZES)
def test_the_pixels_of_answers_are_those_of_validation(opened, resize, tmp_path):
    network = chain(("Power", {"scale": 1.0}), input_shape=(3, resize.size, resize.size))
    with opened(resize) as images:
        batches = [batch.images.copy() for batch in validation_batches(images, BATCH)]
    predictor = predictor_of(network, resize, tmp_path / "model.onnx")
    tensor = predictor.batch(photos())
    assert tensor.dtype == np.float32
    assert (tensor == np.concatenate(batches)[:COUNT]).all()
    assert (predictor.outputs(photos())["power1"] == tensor).all()


def predictor_of(network, resize, path) -> Predictor:
    write_onnx(network, {}, path, None, [], resize.to_properties())
    return Predictor(path)


def test_a_mean_image_is_scaled_as_the_images_are(tmp_path):
    whole = np.random.default_rng(0).uniform(0, 255, (1, 11, 12)).astype(np.float32)
    np.save(tmp_path / "mean.npy", whole)
    resize = InputResize(10, 8, "bilinear")
    config = config_of(tmp_path, tmp_path, image_shape=(1, 11, 12), use_mean="image", input_resize=resize.to_dict())
    layout = layout_of(softmax_network(), config.image_shape, 10, config.resize)
    mean = read_mean(config, layout)
    expected = Image.fromarray(whole[0, 0:10, 1:11]).resize((8, 8), Image.Resampling.BILINEAR)
    assert (mean == np.asarray(expected)).all()
    as_bytes = resize.middle(np.round(whole).astype(np.uint8))
    np.testing.assert_allclose(mean, as_bytes, atol=1.5)


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("mean", ["image", "pixel"])
def test_a_training_with_scaled_images_gives_the_same_bits_in_a_second_and_in_a_resumed_run(mean, tmp_path):
    dataset = write_digits_dataset(tmp_path)
    resize = InputResize(7, 10, "bicubic").to_dict()
    network = softmax_network(input_shape=(1, 10, 10)).to_dict()
    fields = {"network": network, "image_shape": (1, 8, 8), "input_resize": resize, "use_mean": mean}
    runs = {name: config_of(dataset, tmp_path / name, **fields, snapshot_interval=0.75) for name in ("once", "again")}
    resume_from = str(tmp_path / "once" / "snapshots" / "epoch-0.75")
    runs["rest"] = config_of(dataset, tmp_path / "rest", **fields, snapshot_interval=0.75, resume_from=resume_from)
    for name, config in runs.items():
        events = []
        train(config, events.append, lambda: None)
        assert all(event["max_difference"] < 1e-4 for event in events_of_kind(events, "snapshot")), name
    once, again, rest = (snapshot_weights(Path(c.directory) / "snapshots" / "epoch-2") for c in runs.values())
    assert (once["ip.weight"] == again["ip.weight"]).all()
    assert (once["ip.weight"] == rest["ip.weight"]).all()
    predictor = Predictor(tmp_path / "once" / "snapshots" / "epoch-2" / "model.onnx")
    assert predictor.resize == InputResize(7, 10, "bicubic")
    assert predictor.scores(np.zeros((2, 8, 8, 1), np.uint8)).shape == (2, 10)


@pytest.mark.parametrize(
    "image_shape, resize, message",
    [
        ((1, 9, 12), InputResize(10, 8, "bilinear"), "the network takes 1×10×10, but the images are 1×9×12"),
        ((3, 12, 12), InputResize(10, 8, "bilinear"), "the network takes 1×10×10, but the images are 3×12×12"),
        ((1, 12, 12), InputResize(10, 9, "bilinear"), "images are scaled to 9×9, but the network takes 8×8"),
    ],
)
def test_a_square_that_does_not_fit_is_refused(image_shape, resize, message):
    with pytest.raises(BadInput, match=message):
        layout_of(softmax_network(), image_shape, 10, resize)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"window": 0}, "the window of input_resize must be from 1 to 4096 pixels, not 0"),
        ({"size": "8"}, "the size of input_resize must be from 1 to 4096 pixels, not '8'"),
        ({"interpolation": "nearest"}, "must be one of bilinear, bicubic, not 'nearest'"),
        ({"shape": 8}, "this is not an input_resize: "),
    ],
)
def test_wrong_values_are_refused(values, message, tmp_path):
    wrong = InputResize(10, 8, "bilinear").to_dict() | values
    with pytest.raises(BadInput, match=message):
        config_of(tmp_path, tmp_path, input_resize=wrong)
