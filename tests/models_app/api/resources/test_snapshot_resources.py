"""A snapshot under /api/v1: its facts, marking it to be kept, deleting it, and who may do that."""

import pytest

from tests.support.api_requests import make_account
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]


@pytest.fixture
def two_snapshots(built_dataset, make_model):
    """The address of a model under /api/v1 with snapshots of the epochs 1 and 1.5."""
    model = make_model(built_dataset)
    for epoch in (1, 1.5):
        add_snapshot(model, epoch=epoch, seed=0)
    return f"/api/v1/models/{model.pk}"


def epochs(client, model):
    return [snapshot["epoch"] for snapshot in client.get(model).json()["snapshots"]]


def put(client, address, **fields):
    return client.put(address, fields, content_type="application/json")


@pytest.mark.parametrize("name, epoch", [("1", 1), ("1.5", 1.5), ("latest", 1.5), ("best", 1.5)])
def test_a_snapshot_is_found_by_its_epoch_or_its_mark(client, two_snapshots, name, epoch):
    shown = client.get(f"{two_snapshots}/snapshots/{name}").json()
    assert shown == next(each for each in client.get(two_snapshots).json()["snapshots"] if each["epoch"] == epoch)


@pytest.mark.parametrize("name", ["7", "nan", "inf", "newish", "1e999"])
def test_a_snapshot_that_does_not_exist_is_not_found(client, two_snapshots, name):
    assert client.get(f"{two_snapshots}/snapshots/{name}").status_code == 404


def test_a_snapshot_that_is_kept_is_deleted_only_without_the_mark(client, two_snapshots):
    first = f"{two_snapshots}/snapshots/1"
    assert put(client, first, keep=True).json()["keep"] is True
    assert client.delete(first).status_code == 403
    assert put(client, first, keep=False).json()["keep"] is False
    assert client.delete(first).json()["message"] == "Snapshot deleted."
    assert epochs(client, two_snapshots) == [1.5]


def test_snapshots_are_changed_only_by_their_owner_and_operators(client, settings, two_snapshots):
    settings.DIGITS_AUTH = "required"
    client.force_login(make_account("bob", "user"))
    assert client.get(f"{two_snapshots}/snapshots/1").status_code == 200
    assert put(client, f"{two_snapshots}/snapshots/1", keep=True).status_code == 403
    assert client.delete(f"{two_snapshots}/snapshots/1").status_code == 403
    assert epochs(client, two_snapshots) == [1.5, 1]
