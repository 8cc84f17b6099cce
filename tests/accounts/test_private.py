"""A private server shows users only their own jobs, and no server paths; an operator sees everything."""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from digits_project import environment
from digits_project.accounts.roles import Role
from digits_project.jobs.models import Status
from models_app.results import Evaluation
from tests.support.api_requests import make_account, token_header

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_server")]
JOB_ID = r"\d{8}-\d{6}-[0-9a-f]{4}"
UNKNOWN = "20260101-000000-0000"


# --- jobs of others and server paths ---------------------------------------------------------------------------------
@pytest.mark.slow
def test_no_url_shows_anything_about_the_jobs_of_others(model, ugo, page_texts):
    secrets = ("confidential", model.pk, model.dataset_id, Evaluation.objects.get().pk, ">ada<")
    found = page_texts(ugo)
    texts_without_path = {path: text.replace(path, "") for path, (_, text) in found.items()}
    assert len(texts_without_path) > 140
    leaks = {
        path: secret
        for path, text in texts_without_path.items()
        for secret in secrets
        if secret in _without_ids(text, path)
    }
    assert leaks == {}


def _without_ids(text, path):
    """The text of a page without the job ids of its own path, which a page can repeat."""
    for job_id in re.findall(JOB_ID, path):
        text = text.replace(job_id, "")
    return text


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_a_job_of_another_user_gets_the_status_of_a_missing_job(client, model, ugo, url_paths, method):
    client.force_login(ugo)
    job_paths = [path for path in url_paths if re.search(JOB_ID, path)]
    different = {}
    for path in job_paths:
        missing = re.sub(JOB_ID, UNKNOWN, path)
        statuses = [
            client.generic(method, p, "{}", content_type="application/json").status_code for p in (path, missing)
        ]
        if statuses[0] != statuses[1]:
            different[path] = statuses
    assert different == {}
    assert len(job_paths) > 60
    model.refresh_from_db()
    assert model.status == Status.ERROR


def test_the_index_lists_only_the_users_own_jobs(client, model, ugo, make_dataset):
    own = make_dataset(name="own")
    type(own).objects.filter(pk=own.pk).update(owner="ugo")
    client.force_login(ugo)
    assert client.get("/index.json").json() == {
        "datasets": [{"id": own.pk, "name": "own", "status": "Waiting"}], "models": [],
    }  # fmt: skip
    assert client.get(f"/datasets/{own.pk}.json").json()["directory"] == ""


def test_jobs_without_an_owner_are_visible_only_to_operators(client, model, ugo):
    type(model).objects.update(owner="")
    client.force_login(ugo)
    assert client.get(f"/models/{model.pk}.json").status_code == 404


@pytest.mark.parametrize("path, field", [
    ("/models/images/classification.json", "dataset"), ("/models/visualize-network.json", "dataset"),
])  # fmt: skip
def test_a_form_rejects_a_dataset_of_another_user(client, model, ugo, path, field):
    form = {"model_name": "m", "standard_networks": "lenet", "custom_network": "layer {}", field: model.dataset_id}
    client.force_login(ugo)
    response = client.post(path, form)
    assert response.status_code == 400
    assert "There is no dataset with this id." in response.content.decode()


def test_a_form_rejects_a_previous_model_of_another_user(client, model, ugo):
    form = {"model_name": "m", "method": "previous", "previous_networks": model.pk, "dataset": UNKNOWN}
    client.force_login(ugo)
    response = client.post("/models/images/classification.json", form)
    assert "There is no model with this id." in response.content.decode()


def test_a_form_rejects_weights_in_the_folder_of_another_users_job(client, model, ugo):
    client.force_login(ugo)
    form = {"model_name": "m", "method": "custom", "custom_network": "layer {}", "dataset": model.dataset_id}
    responses = [
        client.post("/models/images/classification.json", form | {"custom_network_snapshot": str(path)})
        for path in (model.directory / "snapshots/epoch-1/weights.npz", model.directory, model.directory.parent)
    ]
    errors = [error for response in responses for error in response.json()["errors"]]
    messages = [error["message"] for error in errors if error["field"] == "custom_network_snapshot"]
    assert len(messages) == 3
    assert all("not in a folder that this server may read" in message for message in messages)


@pytest.mark.parametrize("path", ["classification/classify_one", "classification/classify_many", "generic/infer_one"])
def test_a_model_of_another_user_cannot_be_used_for_inference(client, model, ugo, path, digits_folder):
    client.force_login(ugo)
    image = next(digits_folder.rglob("*.png"))
    form = {"job_id": model.pk, "image_path": str(image), "image_list": str(image)}
    assert client.post(f"/models/images/{path}.json", form).status_code == 404


def test_the_admin_shows_no_jobs_or_owners_of_others_in_choices_and_filters(client, model, ugo):
    client.force_login(ugo)
    page = client.get("/admin/models_app/trainedmodel/add/").content.decode()
    assert model.pk not in page
    lists = [client.get(f"/admin/{kind}/").content.decode() for kind in ("datasets/dataset", "models_app/trainedmodel")]
    assert ["ada" in text for text in lists] == [False, False]


def test_a_dataset_does_not_name_models_of_other_users(client, model, ugo):
    type(model.dataset).objects.update(owner="ugo")
    client.force_login(ugo)
    response = client.delete(f"/datasets/{model.dataset_id}.json")
    assert response.status_code == 403
    assert "confidential model" not in response.content.decode()
    page = client.get(f"/admin/datasets/dataset/{model.dataset_id}/change/").content.decode()
    assert "confidential model" not in page
    page = client.get(f"/admin/datasets/dataset/{model.dataset_id}/delete/").content.decode()
    assert "confidential model" not in page


def test_server_paths_are_suggested_only_to_operators(client, ugo, digits_folder):
    query = {"query": f"{digits_folder}/"}
    client.force_login(ugo)
    assert client.get("/autocomplete/path.json", query).json() == {"suggestions": []}
    client.force_login(make_account("olga", "operator"))
    assert client.get("/autocomplete/path.json", query).json()["suggestions"]


def test_metrics_are_visible_only_to_operators(client, ugo, model):
    assert client.get("/metrics", headers=token_header(ugo)).status_code == 403
    assert client.get("/metrics", headers=token_header(make_account("olga", "operator"))).status_code == 200


@pytest.mark.slow
def test_server_paths_are_visible_to_operators_but_not_to_the_owner(client, model, page_texts):
    ada = make_account("ada", "user", is_staff=True)
    found = {path: text for path, (_, text) in page_texts(ada).items()}
    server_paths = (str(model.directory.parent), model.dataset.folder_train)
    assert {path: secret for path, text in found.items() for secret in server_paths if secret in text} == {}
    assert "confidential model" in found[f"/models/{model.pk}"]
    assert "snapshots can't be written." in found[f"/models/{model.pk}.json"] + found[f"/jobs/{model.pk}/status"]
    client.force_login(make_account("olga", "operator"))
    facts = client.get(f"/models/{model.pk}.json").json()
    assert (facts["directory"], facts["error"]) == (
        str(model.directory),
        f"{model.directory}/snapshots can't be written.",
    )
    assert client.get(f"/datasets/{model.dataset_id}.json").status_code == 200


def test_a_form_error_does_not_show_server_folders(client, ugo, digits_folder):
    client.force_login(ugo)
    form = {"dataset_name": "d", "folder_train": f"{digits_folder}/none"}
    text = client.post("/datasets/images/classification.json", form).content.decode()
    assert "none does not exist" in text
    assert str(digits_folder) not in text


# --- operators, commands and servers that are not private ------------------------------------------------------------
def test_commands_list_all_jobs(model, capsys):
    call_command("jobs")
    assert model.pk in capsys.readouterr().out


def test_a_server_that_is_not_private_shows_all_jobs_to_everybody(settings, client, model, ugo):
    settings.DIGITS_PRIVATE = False
    client.force_login(ugo)
    facts = client.get(f"/models/{model.pk}.json").json()
    assert facts["directory"] == str(model.directory)
    assert "shared_with" not in facts


@pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
def test_two_accounts_that_poll_one_job_get_separate_responses(client, model, role):
    ada, ugo = (token_header(make_account(name, role.group)) for name in ("ada", "ugo"))
    status = f"/models/{model.pk}/status"
    missing = f"/models/{UNKNOWN}/status"
    assert client.get(status, headers=ada).json()["status"] == "Error"
    assert client.get(status, headers=ugo).json() == {"error": "Job not found."}
    assert client.get(status, headers=ugo).json() == client.get(missing, headers=ugo).json()


def test_an_open_server_cannot_be_private(monkeypatch):
    monkeypatch.setenv("DIGITS_PRIVATE", "on")
    with pytest.raises(ImproperlyConfigured, match="it needs DIGITS_AUTH=required"):
        environment.private("DIGITS_PRIVATE", "open")
    assert environment.private("DIGITS_PRIVATE", "required")
