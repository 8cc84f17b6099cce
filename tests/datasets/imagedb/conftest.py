"""Fixtures for the tests of the image database."""

import pytest

from datasets.imagedb.build_log import BuildLog


@pytest.fixture
def directory(tmp_path):
    """The folder of a job, which does not exist yet."""
    return tmp_path / "job"


@pytest.fixture
def log(tmp_path):
    """An open build log, build.log in the folder of the test."""
    with BuildLog(tmp_path / "build.log") as log:
        yield log
