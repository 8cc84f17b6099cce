"""Batches reads many images in order and in constant memory; responses too large for memory go through the disk."""

import json
import threading
import tracemalloc

import numpy as np
import pytest
from rest_framework.views import APIView

from digits_project.common.errors import BadInput
from inference import spooled_response
from inference.engine.batches import AHEAD, Batches
from inference.spooled_response import SpooledResponse

SIDE = 128
BATCH = 4
render_json = APIView.renderer_classes[0]().render


def read(name):
    """An image of the size of a real one, whose pixels have the number in its name; BadInput if the name ends in x."""
    if name.endswith("x"):
        raise BadInput("not an image")
    return np.full((SIDE, SIDE, 1), int(name) % 256, np.uint8)


def test_batches_hold_the_images_in_the_order_of_their_names():
    batches = Batches(map(str, range(11)), read, BATCH)
    found = [(names, pixels[:, 0, 0, 0].tolist()) for names, pixels in batches]
    assert [len(names) for names, _ in found] == [4, 4, 3]
    assert [name for names, _ in found for name in names] == [str(i) for i in range(11)]
    assert [value for _, values in found for value in values] == list(range(11))


def test_batches_skip_unreadable_images_and_report_the_first():
    batches = Batches(["1", "2x", "3", "4x", "5x", "6x", "7x", "8x", "9"], read, BATCH)
    assert [names for names, _ in batches] == [["1", "3"], ["9"]]
    assert (batches.loaded, batches.skipped, batches.first_fault) == (3, 6, "2x: not an image")


def test_an_unexpected_exception_ends_the_iteration_and_its_threads():
    def fail(name):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(Batches(["1"], fail, BATCH))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("image")]


def test_the_list_of_names_is_read_only_two_batches_ahead():
    taken = []
    batches = iter(Batches((taken.append(i) or str(i) for i in range(1000)), read, BATCH))
    next(batches)
    assert len(taken) == AHEAD * BATCH
    batches.close()


def test_ten_times_as_many_images_take_the_same_memory():
    assert peak_memory(400) < 1.3 * peak_memory(40)


def peak_memory(count):
    """The peak of memory while `count` images are read, in bytes."""
    tracemalloc.start()
    for _ in Batches((str(i) for i in range(count)), read, BATCH):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


ENTRIES = {"ä \u2028.png": {"prob": [[0.5, 1e-7], []]}, 'quote"\\\n': {}, "b": [1, None, True]}


def test_a_spooled_response_has_the_bytes_of_the_renderer():
    response_body = SpooledResponse("outputs")
    for name, value in ENTRIES.items():
        response_body.add(name, value)
    assert response_body.response({}).content == render_json({"outputs": ENTRIES})


def test_a_repeated_name_appears_once_in_a_spooled_response():
    response_body = SpooledResponse("outputs")
    response_body.add("a", 1)
    response_body.add("a", 2)
    assert response_body.value() == {"outputs": {"a": 1}}


@pytest.mark.django_db  # closing a response closes old database connections
def test_a_long_response_is_streamed_from_disk(monkeypatch):
    monkeypatch.setattr(spooled_response, "MAX_IN_MEMORY", 1000)
    response_body = SpooledResponse("outputs")
    tracemalloc.start()
    for i in range(60):
        response_body.add(str(i), list(range(1000)))
    assert tracemalloc.get_traced_memory()[1] < 1 << 19
    tracemalloc.stop()
    response = response_body.response({"X-Digits-Skipped": 3})
    body = b"".join(response.streaming_content)
    response.close()
    assert json.loads(body)["outputs"]["59"] == list(range(1000))
    assert (int(response["Content-Length"]), response["X-Digits-Skipped"]) == (len(body), "3")
    assert len(body) > 1 << 19
