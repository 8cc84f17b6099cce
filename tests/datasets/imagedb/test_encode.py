import numpy as np
import pytest

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.encode import Encoder
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.readers.folder import scan
from datasets.imagedb.split import Part
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits


@pytest.fixture
def folder(tmp_path):
    return write_digits(tmp_path / "images", {0: 2, 1: 2})


def encoder_of(folder, tmp_path, counts, side):
    """An encoder of parts that have so many images."""
    with BuildLog(tmp_path / "build.log") as log:
        listing = scan(folder, tmp_path / "paths", log, ignore_progress)
    parts = [Part(str(count), listing, np.arange(count), np.arange(2)) for count in counts]
    return Encoder(parts, spec_of(folder, width=side, height=side, channels=3), FULL_RANGE)


def task_sizes(folder, tmp_path, counts, workers, side):
    """The sizes of all tasks, which together have all images in order."""
    tasks = list(encoder_of(folder, tmp_path, counts, side).tasks(workers))
    for number, count in enumerate(counts):
        np.testing.assert_array_equal(
            np.concatenate([task.images for task in tasks if task.part == number]), range(count)
        )
    return [len(task.images) for task in tasks]


def test_a_few_images_need_few_workers(folder, tmp_path):
    assert [encoder_of(folder, tmp_path, [count], 28).useful(64) for count in (1, 8, 9, 5000)] == [1, 1, 2, 64]


def test_tasks_get_smaller_towards_the_end_so_that_workers_end_together(folder, tmp_path):
    sizes = task_sizes(folder, tmp_path, [450, 150], 2, 256)
    assert max(sizes) == 21
    assert sizes[-1] <= 2


def test_tasks_of_small_images_have_many_and_tasks_of_the_largest_one(folder, tmp_path):
    assert max(task_sizes(folder, tmp_path, [10_000], 2, 28)) == 64
    assert task_sizes(folder, tmp_path, [6], 2, 4096) == [1] * 6
