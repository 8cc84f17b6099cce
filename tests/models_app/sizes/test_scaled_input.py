"""Every standard network on images of another size: the same scores in the engine, the predictor and ONNX Runtime."""

from contextlib import closing
from itertools import cycle, product

import numpy as np
import pytest
from PIL import Image

from inference.engine.predictor import Predictor
from models_app.networks import STANDARD, standard
from models_app.training.data.batch_reader import validation_batches
from models_app.training.data.crops import layout_of
from models_app.training.data.pixels import open_images
from models_app.training.hyperparameters import MEANS
from models_app.training.trainer import normalization
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.models_app.networks.test_standard_networks import MIN_SIDE, NORMED
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.training_samples import config_of, write_records

COUNT = 4
SETTINGS = list(product(MEANS, (0.6, 1.7)))  # use_mean, and the side of the dataset's images relative to the network's
# Each network has one of the settings, and a quick one has them all.
CASES = list(zip(STANDARD, cycle(SETTINGS))) + list(product(["squeezenet"], SETTINGS))
CASES = list(dict.fromkeys((name, *setting) for name, setting in CASES if (name, setting[0]) != ("lenet", "network")))


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("name, mean, relative", CASES)
def test_scaled_images_get_the_same_scores_everywhere(name, mean, relative, tmp_path):
    size = 64 if name in NORMED else MIN_SIDE.get(name, 32)
    height, width = round(relative * size), round(relative * size) + 3
    photos = np.random.default_rng(5).integers(0, 256, (COUNT, height, width, 3), dtype=np.uint8)
    np.save(tmp_path / "mean.npy", photos.mean(axis=0).transpose(2, 0, 1).astype(np.float32))
    network = standard(name, (3, size, size), 5, 0)
    resize = STANDARD[name].resizing.of(height, width, size)
    shape = {"image_shape": (3, height, width), "input_resize": resize.to_dict()}
    config = config_of(tmp_path, tmp_path, network=network.to_dict(), use_mean=mean, **shape)
    layout = layout_of(network, config.image_shape, COUNT, config.resize)

    records = write_records(tmp_path / "val.rec", photos, range(COUNT))
    with closing(open_images(records, layout, threads=1, tick=lambda: None)) as images:
        (trained_on,) = [batch.images.copy() for batch in validation_batches(images, COUNT)]
    subtracted, scale = normalization(config, network, layout)
    engine = engine_of(network, batch_size=COUNT, mean=subtracted, scale=scale)
    engine.load_weights(network.initial_weights(1))
    engine.train_batch(trained_on, np.arange(COUNT, dtype=np.float32), 0.001)  # so that BatchNorm has averages
    expected = engine.forward(trained_on)["softmax"].reshape(COUNT, -1)

    path = tmp_path / "model.onnx"
    engine.export(path, engine.weights(), [], resize.to_properties(), network.input_shape)
    np.testing.assert_allclose(Predictor(path).scores(photos), expected, atol=1e-4)
    prepared = np.stack([prepared_by_pillow(photo, resize) for photo in photos])
    assert (prepared == trained_on).all()
    in_any_runtime = onnx_outputs(path, prepared)["softmax"].reshape(COUNT, -1)
    np.testing.assert_allclose(in_any_runtime, expected, atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 1e-6  # the scores depend on the image


def prepared_by_pillow(photo: np.ndarray, resize) -> np.ndarray:
    """What docs/api.md tells users of other programs to do."""
    left, top = (photo.shape[1] - resize.window) // 2, (photo.shape[0] - resize.window) // 2
    square = Image.fromarray(photo).crop((left, top, left + resize.window, top + resize.window))
    scaled = square.resize((resize.size, resize.size), Image.Resampling[resize.interpolation.upper()])
    return np.asarray(scaled).transpose(2, 0, 1)
