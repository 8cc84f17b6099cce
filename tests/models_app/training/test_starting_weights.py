"""initial_weights: the layers that a training takes over from a file, and those that start with random weights."""

import json
import struct
from dataclasses import replace
from zipfile import ZIP_BZIP2, ZipFile

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.starting_weights import starting_weights
from models_app.training.trainer import train
from tests.support.samples.digits_job_samples import message, weights_blob
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    config_of,
    events_of_kind,
    snapshot_weights,
    write_digits_dataset,
)


def two_layers(hidden=6, last="ip2", categories=10):
    xavier = {"weight_filler": {"type": "xavier"}}
    return network(
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 0.01}),
        Layer("ip1", "InnerProduct", ("scaled",), ("ip1",), {"num_output": hidden, **xavier}),
        Layer(last, "InnerProduct", ("ip1",), ("scores",), {"num_output": categories, **xavier}),
        Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=LABELLED_PHASES),
        Layer("softmax", "Softmax", ("scores",), ("softmax",), phases=("deploy",)),
        input_shape=(1, 8, 8),
    )


@pytest.fixture
def weights(tmp_path):
    """The path of a file with weights for two_layers()."""
    np.savez(tmp_path / "weights.npz", **random_weights(two_layers()))
    return str(tmp_path / "weights.npz")


def test_every_layer_starts_from_the_seed_without_a_file_of_weights():
    start = starting_weights(two_layers(), 5, None)
    assert (start.taken_over, start.afresh) == ((), ("ip1", "ip2"))
    assert all((array == two_layers().initial_weights(5)[name]).all() for name, array in start.arrays.items())


@pytest.mark.parametrize(
    "changed, afresh",
    [
        (two_layers(), ()),
        (two_layers(last="new"), ("new",)),
        (two_layers(categories=7), ("ip2",)),
        (two_layers(last="new", categories=7), ("new",)),
    ],
)
def test_layers_of_the_same_name_and_shapes_are_taken_over(weights, changed, afresh):
    start = starting_weights(changed, 5, weights)
    assert start.afresh == afresh
    assert set(start.taken_over) == {"ip1", "ip2", "new"} & {layer.name for layer in changed.layers} - set(afresh)
    for name, array in start.arrays.items():
        source = changed.initial_weights(5) if name.startswith(afresh) else random_weights(two_layers())
        assert (array == source[name]).all(), name
        assert array.dtype == np.float32


def test_a_layer_is_taken_over_whole_or_not_at_all(tmp_path):
    found = random_weights(two_layers())
    del found["ip1.bias"]
    np.savez(tmp_path / "weights.npz", **found)
    start = starting_weights(two_layers(), 5, str(tmp_path))
    assert (start.taken_over, start.afresh) == (("ip2",), ("ip1",))
    assert (start.arrays["ip1.weight"] == two_layers().initial_weights(5)["ip1.weight"]).all()


def test_a_file_without_a_matching_layer_is_refused(weights):
    with pytest.raises(BadInput, match=r"weights\.npz has no weights for any layer of the network"):
        starting_weights(two_layers(hidden=7), 5, weights)


def test_a_caffemodel_without_a_matching_layer_is_refused_with_the_names_of_all_layers(tmp_path):
    layers = [message(100, message(1, name) + message(7, weights_blob(np.zeros(6)))) for name in (b"fc6", b"fc\x1b7")]
    (tmp_path / "other.caffemodel").write_bytes(b"".join(layers))
    with pytest.raises(BadInput) as raised:
        starting_weights(two_layers(), 5, str(tmp_path / "other.caffemodel"))
    assert r"Layers of the file: fc6, 'fc\x1b7'; of the network: ip1, ip2" in str(raised.value)


def test_a_warning_names_a_layer_for_other_categories_with_both_shapes(weights):
    assert starting_weights(two_layers(categories=7), 5, weights).warnings == (
        "Layer ip2 starts with random weights: its shapes are 10×6 and 10 in the file, 7×6 and 7 in the network",
    )


def layer_of(name, *shapes):
    return message(100, message(1, name) + b"".join(message(7, weights_blob(np.zeros(shape))) for shape in shapes))


def test_a_warning_names_a_layer_of_a_caffemodel_for_other_categories_with_both_shapes(tmp_path):
    layers = layer_of(b"ip1", (6, 64), (6,)) + layer_of(b"ip2", (1000, 6), (1000,))
    (tmp_path / "head.caffemodel").write_bytes(layers)
    assert starting_weights(two_layers(), 5, str(tmp_path / "head.caffemodel")).warnings == (
        "Layer ip2 starts with random weights: its shapes are 1000×6 and 1000 in the file, 10×6 and 10 in the network",
    )


def test_warnings_name_the_layers_that_only_the_network_or_only_the_file_has(weights):
    assert starting_weights(two_layers(last="new"), 5, weights).warnings == (
        "Layer new starts with random weights: the file has no layer with this name",
        "The file has layers that the network does not have: ip2",
    )


def test_a_warning_names_a_layer_of_which_the_file_has_only_some_arrays(tmp_path):
    found = random_weights(two_layers())
    del found["ip1.bias"]
    np.savez(tmp_path / "weights.npz", **found)
    assert starting_weights(two_layers(), 5, str(tmp_path)).warnings == (
        "Layer ip1 starts with random weights: its shapes are 6×64 in the file, 6×64 and 6 in the network",
    )


@pytest.mark.parametrize("suffix", [".npz", ".onnx"])
def test_filters_of_three_colours_are_summed_up_for_gray_images(tmp_path, suffix):
    conv = Layer("conv", "Convolution", ("data",), ("conv",), {"num_output": 4, "kernel_size": 3})
    coloured, gray = (network(conv, input_shape=(channels, 8, 8)) for channels in (3, 1))
    weights, path = random_weights(coloured), tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(path, **weights)
    else:
        write_onnx(coloured, weights, path, None, [])
    start = starting_weights(gray, 1, str(path))
    assert (start.taken_over, start.afresh, start.warnings) == (("conv",), (), ())
    np.testing.assert_allclose(
        start.arrays["conv.weight"], weights["conv.weight"].sum(axis=1, keepdims=True), rtol=1e-6
    )


def test_ten_layers_that_start_afresh_get_a_warning_each_and_the_others_share_one(weights):
    more = [Layer(f"x{n}", "Bias", ("scaled",), (f"x{n}",)) for n in range(12)]
    base = two_layers()
    warnings = starting_weights(replace(base, layers=(*base.layers, *more)), 5, weights).warnings
    assert len(warnings) == 11
    assert warnings[10] == "2 more layers start with random weights: x10, x11"


def test_weights_for_every_layer_give_no_warning(weights):
    assert starting_weights(two_layers(), 5, weights).warnings == ()


def test_weights_that_are_not_finite_numbers_are_refused(tmp_path):
    messages = {
        "holds values that are not numbers": np.full(6, np.nan),
        "is of type .* not numbers": np.array(["a"] * 6),
    }
    for message_, bias in messages.items():
        np.savez(tmp_path / "weights.npz", **{**random_weights(two_layers()), "ip1.bias": bias})
        with pytest.raises(BadInput, match=rf"ip1\.bias {message_}"):
            starting_weights(two_layers(), 5, str(tmp_path))


NPY = (
    b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n\0\0\0\0"
)


def test_layers_of_a_caffemodel_are_taken_over(tmp_path):
    found = random_weights(two_layers())
    layer = (
        message(1, b"ip1") + message(7, weights_blob(found["ip1.weight"])) + message(7, weights_blob(found["ip1.bias"]))
    )
    (tmp_path / "caffe.caffemodel").write_bytes(message(100, layer))
    start = starting_weights(two_layers(), 5, str(tmp_path / "caffe.caffemodel"))
    assert (start.taken_over, start.afresh) == (("ip1",), ("ip2",))
    assert (start.arrays["ip1.weight"] == found["ip1.weight"]).all()


class Trap:
    """An object that fails the test when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("was unpickled",)


def test_arrays_of_objects_are_refused_without_being_unpickled(tmp_path):
    trap = np.empty(6, object)
    trap[:] = [Trap()] * 6
    np.savez(tmp_path / "weights.npz", **{**random_weights(two_layers()), "ip1.bias": trap})
    with pytest.raises(BadInput, match="does not hold arrays"):
        starting_weights(two_layers(), 5, str(tmp_path))
    trap.dump(tmp_path / "weights.npz")
    with pytest.raises(BadInput, match="does not hold arrays"):
        starting_weights(two_layers(), 5, str(tmp_path))


def test_arrays_of_another_shape_are_not_read(tmp_path):
    """The header of ip1.bias claims 10¹⁵ numbers, which no machine could read."""
    np.savez(tmp_path / "weights.npz", **{n: a for n, a in random_weights(two_layers()).items() if n != "ip1.bias"})
    with ZipFile(tmp_path / "weights.npz", "a") as archive, archive.open("ip1.bias.npy", "w") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
        np.lib.format.write_array_header_1_0(file, header)
    assert starting_weights(two_layers(), 5, str(tmp_path)).taken_over == ("ip2",)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY\x01\x00", NPY])
def test_a_file_that_holds_no_arrays_is_refused(tmp_path, content):
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(BadInput, match="does not hold arrays"):
        starting_weights(two_layers(), 5, str(tmp_path))


@pytest.mark.parametrize(
    "header",
    ["(" * 9000, "-" * 9000 + "1", "{'descr': '<f4', 'fortran_order': False, 'shape': (10,"],
    ids=["brackets", "signs", "a header that is cut short"],
)
def test_a_header_that_numpy_can_not_read_is_refused(tmp_path, header):
    with ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("ip1.bias.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(BadInput, match="does not hold arrays") as refused:
        starting_weights(two_layers(), 1, str(tmp_path / "w.npz"))
    assert len(str(refused.value).removeprefix(str(tmp_path))) < 300


def test_arrays_compressed_in_another_way_than_numpys_are_refused(tmp_path):
    with ZipFile(tmp_path / "w.npz", "w", ZIP_BZIP2) as archive:
        archive.writestr("ip1.bias.npy", b"")
    with pytest.raises(BadInput, match=r"'ip1\.bias\.npy' is compressed in another way than NumPy compresses"):
        starting_weights(two_layers(), 1, str(tmp_path / "w.npz"))


def test_weights_beside_the_model_of_a_snapshot_count_before_those_in_it(tmp_path, weights):
    held = two_layers().initial_weights(2)
    write_onnx(two_layers(), held, tmp_path / "model.onnx", mean=None, labels=tuple("0123456789"))
    apart = random_weights(two_layers())
    np.savez(weights, **{"ip1.weight": apart["ip1.weight"]})
    arrays = starting_weights(two_layers(), 5, str(tmp_path)).arrays
    assert [name for name, array in arrays.items() if (array != held[name]).any()] == ["ip1.weight"]
    assert (arrays["ip1.weight"] == apart["ip1.weight"]).all()


def test_a_missing_file_of_weights_is_a_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"the weights to start from can't be read: .*No such file"):
        starting_weights(two_layers(), 5, str(tmp_path / "weights.npz"))


def test_a_training_starts_from_the_snapshot_of_another_training(tmp_path):
    dataset = write_digits_dataset(tmp_path)
    first = config_of(dataset, tmp_path / "first", network=two_layers().to_dict())
    train(first, lambda event: None, lambda: None)
    snapshot = tmp_path / "first/snapshots/epoch-2"
    second = config_of(dataset, tmp_path / "second", network=two_layers(last="new").to_dict(), random_seed=9,
                       initial_weights=str(snapshot), learning_rate=1e-30)  # fmt: skip
    events = []
    train(second, events.append, lambda: None)
    assert events_of_kind(events[:1], "started", taken_over=("ip1",), afresh=("new",))
    old, new = snapshot_weights(snapshot), snapshot_weights(tmp_path / "second/snapshots/epoch-2")
    assert (old["ip1.weight"] == new["ip1.weight"]).all()
    assert (new["new.weight"] == two_layers(last="new").initial_weights(9)["new.weight"]).all()


def test_a_resumed_training_does_not_take_over_its_initial_weights_again(tmp_path, weights):
    dataset = write_digits_dataset(tmp_path)
    whole = config_of(dataset, tmp_path / "whole", network=two_layers().to_dict(), initial_weights=weights)
    train(whole, lambda event: None, lambda: None)
    rest = replace(whole, directory=str(tmp_path / "rest"), resume_from=str(tmp_path / "whole/snapshots/epoch-1"))
    events = []
    train(rest, events.append, lambda: None)
    assert events_of_kind(events[:1], "started", taken_over=(), afresh=())
    last = [json.loads((tmp_path / name / "snapshots/epoch-2/snapshot.json").read_text()) for name in ("whole", "rest")]
    assert last[0]["sha256"]["optimizer.npz"] == last[1]["sha256"]["optimizer.npz"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_to_weights_outside_of_the_readable_roots_is_refused(tmp_path, weights, folder):
    (tmp_path / "root" / "snapshot").mkdir(parents=True)
    (tmp_path / "root" / "snapshot" / "weights.npz").symlink_to(weights)
    source = tmp_path / "root" / "snapshot" / ("" if folder else "weights.npz")
    with pytest.raises(BadInput, match="is not in a folder that this server may read"):
        starting_weights(two_layers(), 5, str(source), [str(tmp_path / "root")])
    assert starting_weights(two_layers(), 5, str(source), [str(tmp_path)]).taken_over
