"""The anchors that run in an environment of their own, LitServe and OpenCV: skipped without BENCH_ANCHORS_PYTHON."""

import http.client
import json
import subprocess
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from benchmarks import litserve
from benchmarks.load_client import form
from benchmarks.loops.rounds import ANCHORS_PYTHON
from benchmarks.report import NO_ANCHORS, LeftOut
from datasets.imagedb.images.decoding import decode_record, read_array
from datasets.imagedb.store.records import RecordReader
from inference.engine.predictor import Predictor
from models_app.networks import standard
from models_app.networks.export.network_onnx import write_onnx
from tests.support.server import ROOT

needs_anchors = pytest.mark.skipif(not ANCHORS_PYTHON, reason=NO_ANCHORS)
CATEGORIES = [f"category {number}" for number in range(10)]


@pytest.fixture
def photo(tmp_path):
    """The path of a photo in a folder of a category."""
    path = tmp_path / "photos/flowers/flower.jpg"
    path.parent.mkdir(parents=True)
    Image.fromarray(load_sample_image("flower.jpg")).save(path, quality=90)
    return path


def test_the_rows_against_litserve_are_left_out_without_its_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(litserve, "ANCHORS_PYTHON", "")
    rows = list(litserve.rows("classify_one", None, [], tmp_path, 1, 1.0))
    assert rows == [LeftOut(f"classify_one{what}, against LitServe", NO_ANCHORS) for what in ("", ", p95")]


@needs_anchors
@pytest.mark.slow(10)
def test_litserve_ranks_the_categories_of_a_photo_as_this_server_does(tmp_path, photo):
    network = standard("lenet", (3, 32, 32), 10)
    write_onnx(network, network.initial_weights(1), tmp_path / "m.onnx", None, CATEGORIES, image_shape=(3, 32, 32))
    with litserve._litserve([str(tmp_path / "m.onnx"), "3", "32"], (1, 2, 4, "zmq")) as url:
        connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
        head, _, body = form("/predict", "127.0.0.1", {}, photo.read_bytes()).partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        connection.request("POST", "/predict", body, headers)
        predictions = json.loads(connection.getresponse().read())["predictions"]
        connection.close()
    image = read_array(photo, 32, 32, 3, "squash")
    [scores] = Predictor(tmp_path / "m.onnx").scores(image[np.newaxis])
    assert [number for number, _ in predictions] == list(np.argsort(-scores, kind="stable")[:5])
    assert [score for _, score in predictions] == pytest.approx(sorted(scores, reverse=True)[:5], abs=1e-4)


@needs_anchors
@pytest.mark.slow
def test_opencv_writes_records_like_this_servers(tmp_path, photo):
    call = "from pathlib import Path; import sys; from benchmarks.loops import cv2_loop as loop; "
    call += "loop.encode_all([(sys.argv[1], 3)], 64, loop.INTERPOLATIONS['area'], 1, Path(sys.argv[2]))"
    subprocess.run([ANCHORS_PYTHON, "-c", call, photo, tmp_path / "made"], cwd=ROOT, check=True)
    with RecordReader(tmp_path / "made.rec") as records:
        label, payload = records[0]
    assert (len(records), label) == (1, 3.0)
    theirs, ours = Image.open(BytesIO(payload)), read_array(photo, 64, 64, 3, "squash")
    assert theirs.layer == [(1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)]  # no chroma subsampling
    assert np.abs(decode_record(payload).astype(int) - ours).mean() < 4
