"""The curves of `make scale`: which count as flat, and their charts."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.building import DIGIT, watched_build
from benchmarks.growth.chart import draw
from benchmarks.growth.curve import Curve, each_further
from benchmarks.samples.pictures import write_numbered_digits
from datasets.imagedb.images.decoding import read_array


def test_a_curve_is_flat_while_a_unit_costs_at_most_a_fifth_more():
    assert Curve("build", "ms", [(10, 5.0), (100, 6.0), (1000, 4.0)]).met
    steep = Curve("build", "ms", [(10, 5.0), (100, 6.1)])
    assert not steep.met
    assert str(steep) == "build (ms)  10: 5  100: 6.1  ×1.22  NOT FLAT"


def test_a_curve_with_a_known_reason_may_grow_and_names_it():
    curve = Curve("memory", "MiB", [(10, 5.0), (100, 10.0)], grows="it keeps all paths")
    assert curve.met
    assert str(curve).endswith("×2.00  grows: it keeps all paths")


def test_each_further_unit_costs_what_the_total_grew_by():
    assert each_further([(10, 100.0), (20, 130.0), (120, 530.0)]) == [(20, 3.0), (120, 4.0)]


@pytest.mark.parametrize("growth", [1.0, 9.0])
def test_a_chart_shows_each_curve_in_a_colour_of_its_own(growth, tmp_path):
    curves = [Curve("a", "ms", [(1, 1.0), (100, growth)]), Curve("b", "MiB", [(10, 2.0), (100, 2.2)])]
    draw("Growth", "number of images", curves, tmp_path / "made/chart.png")
    with Image.open(tmp_path / "made/chart.png") as chart:
        pixels = np.asarray(chart.convert("RGB")).astype(int)
    for colour in ((31, 119, 180), (214, 39, 40)):
        assert (np.abs(pixels - colour).sum(axis=2) < 40).sum() > 50


def test_numbered_digits_are_all_readable_and_different(tmp_path):
    paths = sorted(write_numbered_digits(tmp_path / "images", 1_020).glob("*/*.png"))
    assert len({path.read_bytes() for path in paths}) == 1_020
    assert {read_array(path, 28, 28, 1, "squash").shape for path in paths[:20]} == {(28, 28, 1)}


@pytest.mark.slow
def test_a_watched_build_reports_its_memory_and_processor_time(tmp_path):
    watched = watched_build(write_numbered_digits(tmp_path / "images", 200), DIGIT)
    assert 10 < watched.mebibytes < 200
    assert 0.1 < watched.processor_seconds < 60
