"""What users see of an evaluation whose model is shared with them, but not its dataset."""

import io
import json
import zipfile

import pytest
from django.contrib.auth.models import Group

from datasets.models import Dataset
from inference.tasks import evaluate
from models_app import evaluations
from tests.inference.download.test_api_download import content_of
from tests.support.api_requests import make_account
from tests.support.samples.row_samples import add_snapshot

pytestmark = pytest.mark.django_db
BROWSER = {"Accept": "text/html"}
SECRET = "confidential"


@pytest.fixture
def evaluated(make_built, make_model):
    """A function that makes a dataset and a model of these names, and returns the evaluations of two snapshots."""

    def evaluated(name):
        model = make_model(make_built(name=f"{SECRET} {name}"), name=name)
        for epoch in (1, 2):
            add_snapshot(model, epoch, seed=epoch)
            evaluate(evaluations.evaluate(model, "val", epoch).pk)
        return list(model.evaluations.order_by("epoch"))

    return evaluated


@pytest.fixture
def shared(settings, evaluated, client):
    """Evaluations of two datasets, by name, whose models, but not their datasets, are shared with the client's user."""
    found = {name: evaluated(name) for name in ("first", "second")}
    Group.objects.create(name="lab")
    ben = make_account("ben", "user", "lab")
    for first, _ in found.values():
        first.trained_model.shared_with.set(ben.groups.filter(name="lab"))
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    client.force_login(ben)
    return found


def test_pages_and_messages_do_not_name_a_dataset_that_the_user_may_not_see(client, shared):
    a, b = shared["first"]
    other = shared["second"][0]
    address = f"/models/compare/evaluations/{a.pk}"
    ids = f"{a.trained_model_id},{other.trained_model_id}"
    texts = [
        client.get(address, {"other": b.pk}, headers=BROWSER),
        client.get(f"/api/v1/evaluations/{a.pk}/comparison", {"other": b.pk}),
        client.get(f"{address}/slices", headers=BROWSER),
        client.get(f"/api/v1/evaluations/{a.pk}/slices"),
        client.get("/models/compare/disagreements", {"ids": ids}, headers=BROWSER),
        client.get(address, {"other": other.pk}, headers=BROWSER),
    ]
    assert [response.status_code for response in texts] == [200] * 6
    refused = client.get(f"/api/v1/evaluations/{a.pk}/comparison", {"other": other.pk})
    assert refused.status_code == 409
    Dataset.objects.update(splits=[])
    empty = client.get("/api/v1/disagreements", {"ids": ids})
    assert empty.status_code == 409
    assert [SECRET in response.content.decode() for response in [*texts, refused, empty]] == [False] * 8


def test_an_archive_names_a_dataset_only_to_users_who_may_see_it(client, shared):
    evaluation = shared["first"][0]
    address = f"/models/{evaluation.trained_model_id}/download.zip?epoch=1&calibrated=1"

    def dataset():
        with zipfile.ZipFile(io.BytesIO(content_of(client.get(address)))) as archive:
            return json.loads(archive.read("info.json"))["dataset"]

    assert dataset() == ""
    evaluation.trained_model.dataset.shared_with.set(evaluation.trained_model.shared_with.all())
    assert dataset() == f"{SECRET} first"
