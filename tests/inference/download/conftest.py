"""The model that the tests of downloads share."""

import numpy as np
import pytest

from models_app.networks import standard
from tests.support.samples.row_samples import add_snapshot, with_categories


@pytest.fixture
def model(make_dataset, make_model):
    """A model with a mean image, and with snapshots of a small network at the epochs 0.5 and 1."""
    model = make_model(with_categories(make_dataset()))
    model.dataset.directory.mkdir(parents=True, exist_ok=True)
    np.save(model.dataset.directory / "mean.npy", np.zeros((1, 28, 28), np.float32))
    for epoch in (0.5, 1):
        add_snapshot(model, epoch, seed=int(2 * epoch), network=standard("lenet", (1, 16, 16), 10))
    return model
