"""Drawings of networks: well-formed SVG in which each layer has a box, no boxes overlap, and arrows join the layers."""

from collections import Counter
from itertools import combinations
from xml.etree import ElementTree

import pytest

from models_app.networks import STANDARD, Layer, prototxt, standard
from models_app.networks.drawing.graph_layout import Spacing, place
from models_app.networks.drawing.svg import settings, svg
from tests.support.samples.network_samples import LENET, network

SVG = "{http://www.w3.org/2000/svg}"


def draw(net):
    return ElementTree.fromstring(svg(net))


def texts(picture):
    return ["".join(one.itertext()).replace("\xa0", " ") for one in picture.iter(f"{SVG}text")]


def boxes(picture):
    """The layer's name, left, top, width and height of every box."""
    found = []
    for one in picture.iter(f"{SVG}rect"):
        for title in one.findall(f"{SVG}title"):
            sizes = [float(one.attrib[name]) for name in ("x", "y", "width", "height")]
            found.append((title.text.splitlines()[0], *sizes))
    return found


def overlaps(one, other):
    _, x, y, width, height = one
    _, left, top, wide, high = other
    return x < left + wide and left < x + width and y < top + high - 0.01 and top < y + height - 0.01


@pytest.mark.parametrize("name", STANDARD)
def test_every_layer_has_a_box_of_its_own_in_the_picture(name):
    net = standard(name, (3, 224, 224), 10)
    picture = draw(net)
    found = boxes(picture)
    assert Counter(box[0] for box in found) == Counter(layer.name for layer in net.layers)
    assert not [pair for pair in combinations(found, 2) if overlaps(*pair)]
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for _, x, y, w, h in found)


def test_branches_stand_side_by_side_below_their_input_and_above_their_output():
    at = {name: (x, y) for name, x, y, _, _ in boxes(draw(standard("googlenet", (3, 224, 224), 10)))}
    branches = [at[f"inception_3a/{name}"] for name in ("1x1", "3x3_reduce", "5x5_reduce", "pool")]
    assert len({y for _, y in branches}) == 1
    assert branches == sorted(branches)
    assert at["pool2/3x3_s2"][1] < branches[0][1] < at["inception_3a/output"][1]


def test_a_box_shows_type_parameters_shape_and_number_of_weights():
    shown = texts(draw(standard("lenet", (1, 28, 28), 10)))
    assert shown[:2] == ["LeNet", "1×28×28 · 431,080 parameters · 12 layers"]
    start = shown.index("conv1")
    assert shown[start : start + 3] == ["conv1", "Convolution 5×5, output 20", "→ 20×24×24 · 520 parameters"]
    assert "only in: deploy" in shown


def test_arrows_start_at_every_layer_that_makes_an_input_in_some_phase():
    """In training the scaled images come from the Data layer, in deployment from a Power layer."""
    picture = draw(prototxt.read(LENET, (1, 28, 28), 10))
    at = {name: (x + w / 2, y + h) for name, x, y, w, h in boxes(picture)}
    starts = {tuple(map(float, one.attrib["d"].split()[0][1:].split(","))) for one in picture.iter(f"{SVG}path")}
    assert {at["train-data/scaled/scale"], at["scale"]} <= starts


def test_special_characters_in_the_name_of_a_layer_are_escaped():
    name = "<script>&\"'"
    picture = draw(network(Layer(name, "ReLU", ("data",), (name,))))
    assert name in texts(picture)
    assert not list(picture.iter(f"{SVG}script"))


@pytest.mark.parametrize(
    "kind, parameters, words",
    [
        ("Convolution", {"num_output": 8, "kernel_size": [3, 1], "bias_term": False, "weight_filler": {"type": "msra"}},
         "3×1, output 8, no bias"),
        ("Pooling", {"pool": "AVE", "global_pooling": True}, "AVE, whole image"),
        ("Data", {"crop_size": 224, "mirror": True}, "crop 224, mirrored"),
        ("ReLU", {}, ""),
    ],
)  # fmt: skip
def test_a_box_abbreviates_the_parameters_of_its_layer(kind, parameters, words):
    assert settings(Layer("x", kind, parameters=parameters)).replace("\xa0", " ") == words


def test_a_long_arrow_goes_around_the_boxes_between_its_ends():
    placed = place([(100, 20)] * 4, [(0, 1), (1, 2), (2, 3), (0, 3)], Spacing())
    bends = placed.ways[-1][1:-1]
    assert bends
    for x, y in bends:
        assert all(abs(x - middle) > 50 or not top <= y <= top + 20 for middle, top in placed.boxes)


def test_a_network_with_thousands_of_connections_is_drawn_with_straight_arrows():
    count = 400
    edges = [(before, after) for after in range(count) for before in range(max(0, after - 60), after)]
    placed = place([(100, 20)] * count, edges, Spacing())
    assert len(placed.ways) == len(edges)
    assert max(map(len, placed.ways)) == 2
