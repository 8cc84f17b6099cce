"""Models of which only the head is trained, as a server runs them."""

import pytest

from digits_project.jobs import quota, services
from digits_project.jobs.models import Status

pytestmark = [pytest.mark.django_db, pytest.mark.slow(20)]

NAME = "efficientnet_lite0"


@pytest.fixture
def train_head(make_built, make_model, run_training_task):
    """Trains the head of a pretrained network on one dataset, the same for all models."""
    dataset = make_built(resize_width=32, resize_height=32)

    def train_head(**fields):
        columns = {"method": "pretrained", "packaged_weights": NAME, "standard_network": NAME, "use_mean": "network"}
        return run_training_task(make_model(dataset, batch_size=16, train_layers="head", **(columns | fields)))

    return train_head


def test_models_on_one_dataset_share_the_features_and_these_count_as_the_datasets(train_head):
    first = train_head(learning_rate=0.01)
    dataset = first.dataset
    files = {path: path.stat().st_ino for path in dataset.directory.glob("*.features")}
    second = train_head(learning_rate=0.001)
    assert [(model.status, model.error) for model in (first, second)] == [(Status.DONE, "")] * 2
    assert all(model.newest_snapshot.max_difference < 1e-4 for model in (first, second))
    logs = [(model.directory / "train.log").read_text() for model in (first, second)]
    assert [log.count("features computed in") for log in logs] == [2, 0]
    assert {path: path.stat().st_ino for path in dataset.directory.glob("*.features")} == files
    before = quota.used(dataset.owner)
    dataset.refresh_from_db()
    assert dataset.disk_bytes >= sum(path.stat().st_size for path in [*files, dataset.directory / "train.rec"])
    for job in (first, second, dataset):
        job.refresh_from_db()
        services.delete(job)
    assert before > 0
    assert not dataset.directory.exists()
