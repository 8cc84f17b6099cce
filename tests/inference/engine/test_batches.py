"""Many images: flat memory, order, and answers too long for the memory."""

import json
import threading
import tracemalloc

import numpy as np
import pytest
from rest_framework.views import APIView

from digits_project.common.errors import BadInput
from inference import spooled_response as answers
from inference.engine.batches import AHEAD, Batches
from inference.spooled_response import Answer

SIDE = 128
BATCH = 4
as_usual = APIView.renderer_classes[0]().render


def read(name):
    """An image as large as a real one, of the name's number."""
    if name.endswith("x"):
        raise BadInput("not an image")
    return np.full((SIDE, SIDE, 1), int(name) % 256, np.uint8)


def test_the_images_come_in_order_whoever_reads_them():
    batches = Batches(map(str, range(11)), read, BATCH)
    found = [(names, pixels[:, 0, 0, 0].tolist()) for names, pixels in batches]
    assert [len(names) for names, _ in found] == [4, 4, 3]
    assert [name for names, _ in found for name in names] == [str(i) for i in range(11)]
    assert [value for _, values in found for value in values] == list(range(11))


def test_what_can_not_be_read_is_left_out_and_the_first_is_told():
    batches = Batches(["1", "2x", "3", "4x", "5x", "6x", "7x", "8x", "9"], read, BATCH)
    assert [names for names, _ in batches] == [["1", "3"], ["9"]]
    assert (batches.loaded, batches.skipped, batches.first_fault) == (3, 6, "2x: not an image")


def test_a_fault_of_ours_ends_everything():
    def fail(name):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(Batches(["1"], fail, BATCH))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("image")]


def test_the_list_is_read_only_as_far_as_it_is_needed():
    taken = []
    batches = iter(Batches((taken.append(i) or str(i) for i in range(1000)), read, BATCH))
    next(batches)
    assert len(taken) == AHEAD * BATCH
    batches.close()


def test_ten_times_the_images_take_the_same_memory():
    assert peak(400) < 1.3 * peak(40)


def peak(count):
    """The most memory while `count` images are read, in bytes."""
    tracemalloc.start()
    for _ in Batches((str(i) for i in range(count)), read, BATCH):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


ENTRIES = {"ä \u2028.png": {"prob": [[0.5, 1e-7], []]}, 'quote"\\\n': {}, "b": [1, None, True]}


def test_an_answer_is_what_the_renderer_writes():
    answer = Answer("outputs")
    for name, value in ENTRIES.items():
        answer.add(name, value)
    assert answer.response({}).content == as_usual({"outputs": ENTRIES})


def test_a_name_that_comes_again_is_answered_once():
    answer = Answer("outputs")
    answer.add("a", 1)
    answer.add("a", 2)
    assert answer.value() == {"outputs": {"a": 1}}


@pytest.mark.django_db  # the end of a response looks after the connections
def test_a_long_answer_is_streamed_from_disk(monkeypatch):
    monkeypatch.setattr(answers, "MAX_IN_MEMORY", 1000)
    answer = Answer("outputs")
    tracemalloc.start()
    for i in range(60):
        answer.add(str(i), list(range(1000)))
    assert tracemalloc.get_traced_memory()[1] < 1 << 19
    tracemalloc.stop()
    response = answer.response({"X-Digits-Skipped": 3})
    body = b"".join(response.streaming_content)
    response.close()
    assert json.loads(body)["outputs"]["59"] == list(range(1000))
    assert (int(response["Content-Length"]), response["X-Digits-Skipped"]) == (len(body), "3")
    assert len(body) > 1 << 19
