"""Sharing on a private server: a group can use a shared model, but not change it or see its dataset."""

import json

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from datasets.models import Dataset
from digits_project.accounts import audit
from digits_project.jobs.models import Status
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.models import TrainedModel
from models_app.results import Evaluation
from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_server")]
CLASSIFY = "/models/images/classification/classify_one.json"


# --- what a group sees -----------------------------------------------------------------------------------------------
@pytest.fixture
def shared(model, ugo):
    """Ada's model, shared with a group of ugo; its dataset is not shared."""
    group = Group.objects.create(name="vision")
    ugo.groups.add(group)
    model.shared_with.add(group)
    return model


def test_a_group_can_use_a_shared_model_but_not_change_it(client, shared, ugo, digits_folder):
    client.force_login(ugo)
    listed = client.get("/index.json").json()
    assert ([model["id"] for model in listed["models"]], listed["datasets"]) == ([shared.pk], [])
    facts = client.get(f"/models/{shared.pk}.json").json()
    assert facts["shared_with"] == ["vision"]
    image = next(digits_folder.rglob("*.png"))
    assert client.post(CLASSIFY, {"job_id": shared.pk, "image_path": str(image)}).status_code == 200
    assert client.get(f"/models/{shared.pk}/evaluation.json").status_code == 200
    assert client.get(f"/jobs/{Evaluation.objects.get().pk}/status").json()["name"].startswith("confidential model")
    assert client.get(f"/datasets/{shared.dataset_id}.json").status_code == 404
    assert client.delete(f"/models/{shared.pk}").status_code == 403


def test_a_user_who_leaves_the_group_cannot_see_the_shared_model(client, shared, ugo):
    ugo.groups.remove(Group.objects.get(name="vision"))
    client.force_login(ugo)
    assert client.get(f"/models/{shared.pk}.json").status_code == 404


@pytest.mark.slow
def test_no_url_of_a_shared_model_shows_server_paths_or_its_dataset(settings, shared, ugo, page_texts):
    server_paths = (str(settings.DIGITS_JOBS_DIR), str(settings.DIGITS_HOME), shared.dataset.folder_train)
    secrets = (*server_paths, "confidential dataset")
    found = page_texts(ugo)
    assert found[f"/admin/models_app/trainedmodel/{shared.pk}/change/"][0] == 200
    leaks = {path: secret for path, (_, text) in found.items() for secret in secrets if secret in text}
    assert leaks == {}


def test_a_group_learns_what_a_shared_model_waits_for_but_not_its_datasets_name(client, shared, ugo):
    Dataset.objects.filter(pk=shared.dataset_id).update(status=Status.RUNNING, progress=0.4)
    TrainedModel.objects.filter(pk=shared.pk).update(status=Status.WAITING)
    reasons = []
    for user in (ugo, make_account("ada", "user")):
        client.force_login(user)
        reasons.append(client.get(f"/api/v1/models/{shared.pk}").json()["queue"]["reason"])
    assert reasons == [f"waiting for {name} (Running, 40%)" for name in ("its dataset", "dataset confidential dataset")]


def test_a_shared_model_does_not_say_why_its_dataset_failed(client, shared, ugo):
    Dataset.objects.filter(pk=shared.dataset_id).update(status=Status.ERROR, error="/data/secret holds no images")
    TrainedModel.objects.filter(pk=shared.pk).update(status=Status.WAITING)
    dispatch()
    client.force_login(ugo)
    page = client.get(f"/models/{shared.pk}", headers={"Accept": "text/html"}).content.decode()
    assert f"Its dataset ({shared.dataset_id}) failed" in page
    assert "secret" not in page


# --- how an owner shares ---------------------------------------------------------------------------------------------
def test_an_owner_can_share_with_their_own_groups_and_the_role_groups(client, model):
    ada = make_account("ada", "user")
    Group.objects.create(name="others")
    ada.groups.add(Group.objects.create(name="vision"))
    client.force_login(ada)

    def share(names):
        response = client.put(f"/models/{model.pk}.json", {"shared_with": names}, content_type="application/json")
        return response.status_code, sorted(model.shared_with.values_list("name", flat=True))

    assert share("vision, viewer") == (200, ["viewer", "vision"])
    assert share("others") == (400, ["viewer", "vision"])
    assert share(["vision"]) == (200, ["vision"])
    assert share("") == (200, [])
    assert audit.AuditEntry.objects.filter(action="share").first().detail == "nobody"


def test_an_owner_can_share_a_model_in_the_admin(client, model):
    ada = make_account("ada", "user", is_staff=True)
    vision = Group.objects.create(name="vision")
    ada.groups.add(vision)
    client.force_login(ada)
    url = f"/admin/models_app/trainedmodel/{model.pk}/change/"
    assert "vision" in client.get(url).content.decode()
    client.post(url, {"name": "renamed", "notes": "", "priority": 0, "shared_with": [vision.pk]})
    model.refresh_from_db()
    assert (model.name, list(model.shared_with.all())) == ("renamed", [vision])


def test_the_share_command_shares_a_job(model, capsys):
    Group.objects.create(name="vision")
    call_command("share", model.pk, "vision", "--json")
    assert json.loads(capsys.readouterr().out) == {"id": model.pk, "shared_with": ["vision"]}
    call_command("share", model.pk)
    assert not model.shared_with.exists()
