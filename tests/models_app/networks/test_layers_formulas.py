"""Layers compute their formulas, which the tests write out in NumPy."""

import numpy as np
import pytest

from models_app.networks import Layer
from models_app.networks.fillers import fill
from tests.support.samples.engine_samples import engine_of, random_images, random_weights
from tests.support.samples.network_samples import chain, network

pytestmark = pytest.mark.usefixtures("engine_name")

CHANNELS = 4
SCALED_NORM = ("mean", "variance", "weight", "bias")


def compute(kind, parameters, input_shape=(CHANNELS, 6, 5)):
    """Two images scaled down to about 1, the layer's weights, and the layer's output for these images."""
    sample = chain(("Power", {"scale": 0.01}), (kind, parameters), input_shape=input_shape)
    images, weights = random_images(sample, 2), random_weights(sample)
    engine = engine_of(sample)
    engine.load_weights(weights)
    roles = {name.partition(".")[2]: array.astype(float) for name, array in weights.items()}
    return images * 0.01, roles, engine.forward(images)[f"{kind.lower()}2"]


def assert_close(got, expected):
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def windows(image, kernel, stride, size):
    """The pixels of each pooling window, in rows of windows, cut off at the edge of the image."""
    rows = range(0, size[0] * stride, stride)
    columns = range(0, size[1] * stride, stride)
    return [[image[..., y : y + kernel, x : x + kernel] for x in columns] for y in rows]


def test_a_convolution_padded_as_in_tensorflow_puts_the_odd_row_of_zeros_after_the_image():
    settings = {"num_output": 2, "kernel_size": 3, "stride": 2, "pad_mode": "SAME"}
    images, weights, got = compute("Convolution", settings)
    padded = np.pad(images, ((0, 0), (0, 0), (0, 1), (1, 1)))  # 6 rows and 5 columns
    expected = [
        [np.einsum("nchw,ochw->no", window, weights["weight"]) + weights["bias"] for window in row]
        for row in windows(padded, 3, 2, (3, 3))
    ]
    assert_close(got, np.moveaxis(expected, (2, 3), (0, 1)))


def test_lrn_divides_by_the_squares_of_the_neighbouring_channels():
    images, _, got = compute("LRN", {"local_size": 3, "alpha": 0.6, "beta": 0.75, "k": 1.5})
    squares = np.pad(images**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    sums = sum(squares[:, channel : channel + CHANNELS] for channel in range(3))
    assert_close(got, images / (1.5 + 0.6 / 3 * sums) ** 0.75)


def test_lrn_within_channels_divides_by_the_squares_of_the_neighbouring_pixels():
    images, _, got = compute("LRN", {"local_size": 3, "alpha": 0.6, "norm_region": "WITHIN_CHANNEL"})
    squares = np.pad(images**2, ((0, 0), (0, 0), (1, 1), (1, 1)))
    sums = sum(squares[:, :, y : y + 6, x : x + 5] for y in range(3) for x in range(3))
    assert_close(got, images / (1 + 0.6 / 9 * sums) ** 0.75)


def test_batch_norm_divides_its_stored_sums_by_their_factor():
    images, weights, got = compute("BatchNorm", {"eps": 0.01})
    mean, variance = (weights[role][:, np.newaxis, np.newaxis] / weights["factor"] for role in ("mean", "variance"))
    assert_close(got, (images - mean) / np.sqrt(variance + 0.01))


def test_batch_norm_with_a_scale_filler_applies_a_gain_and_a_bias():
    images, weights, got = compute("BatchNorm", {"scale_filler": {"type": "constant", "value": 1.0}})
    mean, variance, gain, bias = (weights[role][:, np.newaxis, np.newaxis] for role in SCALED_NORM)
    normalized = (images - mean / weights["factor"]) / np.sqrt(variance / weights["factor"] + 1e-5)
    assert_close(got, normalized * gain + bias)


@pytest.mark.parametrize(
    "group, stride, pad, dilation", [(1, 1, 0, 1), (1, 2, 1, 1), (2, 2, 0, 1), (2, 3, 1, 2), (4, 1, 2, 2)]
)
def test_a_deconvolution_adds_the_filter_times_each_pixel_at_the_place_of_the_pixel(group, stride, pad, dilation):
    parameters = {"num_output": 4, "kernel_size": 3, "stride": stride, "pad": pad, "dilation": dilation}
    images, weights, got = compute("Deconvolution", {**parameters, "group": group})
    covered = dilation * 2 + 1
    summed = np.zeros((2, 4, stride * 5 + covered, stride * 4 + covered))
    per_group = 4 // group
    for channel in range(CHANNELS):
        outputs = slice(channel // (CHANNELS // group) * per_group, (channel // (CHANNELS // group) + 1) * per_group)
        for y, x in np.ndindex(6, 5):
            rows = slice(y * stride, y * stride + covered, dilation)
            columns = slice(x * stride, x * stride + covered, dilation)
            summed[:, outputs, rows, columns] += (
                images[:, channel, y, x][:, np.newaxis, np.newaxis, np.newaxis] * weights["weight"][channel]
            )
    cropped = summed[:, :, pad : summed.shape[2] - pad, pad : summed.shape[3] - pad]
    assert_close(got, cropped + weights["bias"][:, np.newaxis, np.newaxis])


@pytest.mark.parametrize("kernel, stride, pad, size", [(3, 2, 0, (3, 2)), (2, 2, 1, (4, 3)), (2, 3, 0, (2, 2))])
def test_max_pooling_rounds_its_output_size_up_and_cuts_off_the_last_windows(kernel, stride, pad, size):
    images, _, got = compute("Pooling", {"kernel_size": kernel, "stride": stride, "pad": pad})
    padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
    expected = [[window.max(axis=(-2, -1)) for window in row] for row in windows(padded, kernel, stride, size)]
    assert_close(got, np.moveaxis(np.array(expected), (0, 1), (2, 3)))


@pytest.mark.parametrize("kernel, stride, pad, size", [(3, 2, 0, (3, 2)), (3, 2, 1, (4, 3)), (2, 3, 0, (2, 2))])
def test_average_pooling_counts_the_padding_and_nothing_beyond_it(kernel, stride, pad, size):
    images, _, got = compute("Pooling", {"pool": "AVE", "kernel_size": kernel, "stride": stride, "pad": pad})
    padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    expected = [[window.mean(axis=(-2, -1)) for window in row] for row in windows(padded, kernel, stride, size)]
    assert_close(got, np.moveaxis(np.array(expected), (0, 1), (2, 3)))


@pytest.mark.parametrize(
    "kind, parameters, formula",
    [
        ("Exp", {"base": 3, "scale": 0.5, "shift": -1}, lambda x: 3 ** (0.5 * x - 1)),
        ("Exp", {"scale": 0.5, "shift": -1}, lambda x: np.exp(0.5 * x - 1)),
        ("Log", {"base": 2, "scale": 3, "shift": 0.5}, lambda x: np.log2(3 * x + 0.5)),
        ("Log", {"shift": 1}, np.log1p),
        ("Power", {"scale": 2, "shift": 0.5, "power": -0.5}, lambda x: (2 * x + 0.5) ** -0.5),
        ("TanH", {}, np.tanh),
        ("Sigmoid", {}, lambda x: 1 / (1 + np.exp(-x))),
        ("Clip", {"min": 0.5, "max": 1.5}, lambda x: np.clip(x, 0.5, 1.5)),
    ],
)
def test_an_elementwise_layer_computes_the_formula_of_caffe(kind, parameters, formula):
    images, _, got = compute(kind, parameters)
    assert_close(got, formula(images))


def test_an_inner_product_with_an_axis_keeps_the_axes_before_it():
    images, weights, got = compute("InnerProduct", {"num_output": 3, "axis": 2})
    assert_close(got, images.reshape(2, CHANNELS, -1) @ weights["weight"].T + weights["bias"])


def test_a_transposed_inner_product_has_transposed_weights():
    images, weights, got = compute("InnerProduct", {"num_output": 3, "transpose": True})
    assert weights["weight"].shape == (CHANNELS * 30, 3)
    assert_close(got, images.reshape(2, -1) @ weights["weight"] + weights["bias"])


@pytest.mark.parametrize("parameters, slopes", [({}, (1, CHANNELS, 1, 1)), ({"channel_shared": True}, (1, 1, 1, 1))])
def test_a_prelu_has_one_slope_for_each_channel_or_one_for_all(parameters, slopes):
    sample = chain(("Power", {"scale": 0.01, "shift": -1.2}), ("PReLU", parameters), input_shape=(CHANNELS, 6, 5))
    images, weights, engine = random_images(sample, 2), random_weights(sample), engine_of(sample)
    engine.load_weights(weights)
    shifted = images * 0.01 - 1.2
    slope = weights["prelu2.slope"].reshape(slopes)
    assert_close(engine.forward(images)["prelu2"], np.where(shifted > 0, shifted, slope * shifted))
    assert (sample.initial_weights(0)["prelu2.slope"] == 0.25).all()


def test_a_crop_layer_begins_at_its_offset_and_is_as_large_as_its_second_input():
    small = Layer("small", "Pooling", ("data",), ("small",), {"kernel_size": [3, 4]})
    crop = Layer("crop", "Crop", ("data", "small"), ("crop",), {"offset": [2, 1]})
    sample = network(small, crop, input_shape=(2, 6, 5))
    images = random_images(sample, 2)
    assert_close(engine_of(sample).forward(images)["crop"], images[:, :, 2:6, 1:3])


def test_a_slice_layer_splits_its_input_at_its_slice_points():
    cut = Layer("cut", "Slice", ("data",), ("a", "b", "c"), {"axis": -1, "slice_point": [1, 4]})
    sample = network(cut, input_shape=(2, 6, 5))
    images = random_images(sample, 2)
    got = engine_of(sample).forward(images)
    for name, part in (("a", slice(0, 1)), ("b", slice(1, 4)), ("c", slice(4, 5))):
        assert_close(got[name], images[..., part])


@pytest.mark.parametrize(
    "size, line", [(4, [0.25, 0.75, 0.75, 0.25]), (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]), (3, [0.25, 0.75, 0.75])]
)
def test_the_weights_of_a_bilinear_filter_decrease_from_its_centre(size, line):
    weights = fill("up.weight", (2, 1, size, size), {"type": "bilinear"}, seed=0)
    expected = np.outer(line, line)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, np.broadcast_to(expected, weights.shape), atol=1e-6)
