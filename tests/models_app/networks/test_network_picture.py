"""Pictures of networks: whole, well formed, nothing upon anything else."""

from collections import Counter
from itertools import combinations
from xml.etree import ElementTree

import pytest

from models_app.networks import STANDARD, Layer, prototxt, standard
from models_app.networks.drawing.graph_layout import Spacing, place
from models_app.networks.drawing.svg import settings, svg
from tests.support.samples.network_samples import network
from tests.support.samples.prototxt_samples import LENET

SVG = "{http://www.w3.org/2000/svg}"


def drawn(net):
    return ElementTree.fromstring(svg(net))


def texts(picture):
    return ["".join(one.itertext()).replace("\xa0", " ") for one in picture.iter(f"{SVG}text")]


def boxes(picture):
    """Name of the layer, left, top, width and height of every box."""
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
    picture = drawn(net)
    found = boxes(picture)
    assert Counter(box[0] for box in found) == Counter(layer.name for layer in net.layers)
    assert not [pair for pair in combinations(found, 2) if overlaps(*pair)]
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for _, x, y, w, h in found)


def test_branches_stand_side_by_side_between_what_they_come_from_and_go_to():
    at = {name: (x, y) for name, x, y, _, _ in boxes(drawn(standard("googlenet", (3, 224, 224), 10)))}
    branches = [at[f"inception_3a/{name}"] for name in ("1x1", "3x3_reduce", "5x5_reduce", "pool")]
    assert len({y for _, y in branches}) == 1
    assert branches == sorted(branches)
    assert at["pool2/3x3_s2"][1] < branches[0][1] < at["inception_3a/output"][1]


def test_a_box_says_type_parameters_shape_and_number_of_weights():
    said = texts(drawn(standard("lenet", (1, 28, 28), 10)))
    assert said[:2] == ["LeNet", "1×28×28 · 431,080 parameters · 12 layers"]
    start = said.index("conv1")
    assert said[start : start + 3] == ["conv1", "Convolution 5×5, output 20", "→ 20×24×24 · 520 parameters"]
    assert "only in: deploy" in said


def test_arrows_lead_from_whoever_makes_it_in_any_phase():
    """The scaled images come from the Data layer in training, from a Power of their own when deployed."""
    picture = drawn(prototxt.read(LENET, (1, 28, 28), 10))
    at = {name: (x + w / 2, y + h) for name, x, y, w, h in boxes(picture)}
    starts = {tuple(map(float, one.attrib["d"].split()[0][1:].split(","))) for one in picture.iter(f"{SVG}path")}
    assert {at["train-data/scaled/scale"], at["scale"]} <= starts


def test_names_are_text_whatever_is_in_them():
    name = "<script>&\"'"
    picture = drawn(network(Layer(name, "ReLU", ("data",), (name,))))
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
def test_parameters_are_said_in_few_words(kind, parameters, words):
    assert settings(Layer("x", kind, parameters=parameters)).replace("\xa0", " ") == words


def test_a_long_edge_goes_round_the_boxes_that_it_passes():
    placed = place([(100, 20)] * 4, [(0, 1), (1, 2), (2, 3), (0, 3)], Spacing())
    beside = placed.ways[-1][1:-1]
    assert beside
    for x, y in beside:
        assert all(abs(x - middle) > 50 or not top <= y <= top + 20 for middle, top in placed.boxes)


def test_a_network_with_no_end_of_connections_is_drawn_with_straight_ones():
    count = 400
    edges = [(before, after) for after in range(count) for before in range(max(0, after - 60), after)]
    placed = place([(100, 20)] * count, edges, Spacing())
    assert len(placed.ways) == len(edges)
    assert max(map(len, placed.ways)) == 2
