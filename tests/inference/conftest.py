"""Fixtures that the tests of inference share."""

import pytest

from tests.support.samples.row_samples import add_snapshot, with_categories


@pytest.fixture
def data_roots(settings, open_server, digits_folder, tmp_path):
    """A server without accounts, which can read the folder of digits and the test's own folder."""
    settings.DIGITS_DATA_ROOTS = [digits_folder, tmp_path]


@pytest.fixture
def model(make_dataset, make_model):
    """A LeNet with snapshots of random weights at the epochs 1 and 2."""
    model = make_model(with_categories(make_dataset()))
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=epoch)
    return model


@pytest.fixture
def image(digits_folder):
    """The path of an image of the digit 3."""
    return digits_folder / "3" / "0.png"
