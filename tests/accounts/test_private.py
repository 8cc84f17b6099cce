"""A private server: who is no operator sees their own jobs and those that are shared with a group of theirs, no others,
and no paths of the server, whatever door they try."""

import json
import re

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.urls import get_resolver

from digits_project import environment
from digits_project.accounts import audit
from digits_project.accounts.roles import Role
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from models_app import evaluations
from models_app.results import Evaluation
from tests.accounts.test_security_routes import paths
from tests.support.accounts import account, token_of
from tests.support.samples.inference_samples import add_snapshot

pytestmark = pytest.mark.django_db
UNKNOWN = "20260101-000000-0000"
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}
CLASSIFY = "/models/images/classification/classify_one.json"


@pytest.fixture(autouse=True)
def private(settings, digits_folder):
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_PRIVATE = True
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def job(built_dataset, make_model, cpu):
    """Ada's model with a snapshot and an evaluation, on her dataset; both have been built and trained."""
    built_dataset.name, built_dataset.warnings = (
        "confidential dataset",
        [f"{built_dataset.folder_train}/3/x.png is odd"],
    )
    built_dataset.save(update_fields=["name", "warnings"])
    model = make_model(built_dataset, name="confidential model")
    add_snapshot(model, 1, seed=1)
    lifecycle.advance(model, Status.RUNNING)
    lifecycle.advance(model, Status.ERROR, error=f"{model.directory}/snapshots can't be written.")
    (model.directory / "train.log").write_text(f"reading {model.dataset.directory}/train.rec\n")
    evaluation = evaluations.evaluate(model, "val", owner="ada")
    worst = [
        {"record": 0, "path": f"{built_dataset.folder_train}/3/x.png", "category": "3", "answer": "4", "confidence": 9}
    ]
    Evaluation.objects.filter(pk=evaluation.pk).update(worst_errors=worst)
    Device.objects.filter(pk=cpu.pk).update(leased_to=model.pk)
    return model


@pytest.fixture
def ugo():
    """Somebody else, whose account may use the admin."""
    return account("ugo", "user", is_staff=True)


@pytest.fixture
def addresses(job):
    """Every route, with the ids of ada's jobs."""
    evaluation = Evaluation.objects.get().pk
    found = paths(get_resolver().url_patterns, job)
    of_kind = {"/datasets/": job.dataset_id, "/evaluation/": evaluation}
    named = []
    for path in found:
        other = next((pk for part, pk in of_kind.items() if part in path and "/models/" not in path), job.pk)
        named.append(path.replace(job.pk, other))
    return [path for path in named if "logout" not in path and path not in ("/admin/login/",)]


@pytest.fixture
def texts(client, addresses):
    """{address: what its GET says}, with the text of streams."""

    def texts(user):
        said = {}
        for path in addresses:
            client.logout()  # a page shows the messages of the pages before
            client.force_login(user)
            answer = client.get(path, headers=JSON if path.endswith(".json") else HTML)
            content = b"".join(answer.streaming_content) if answer.streaming else answer.content
            said[path] = answer.status_code, content.decode(errors="replace")
        return said

    return texts


# --- what is not shown ----------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_no_address_tells_anything_of_the_jobs_of_others(job, ugo, texts):
    secrets = ("confidential", job.pk, job.dataset_id, Evaluation.objects.get().pk, ">ada<")
    found = texts(ugo)
    asked = {path: text.replace(path, "") for path, (_, text) in found.items()}
    assert len(asked) > 140
    leaks = {path: secret for path, text in asked.items() for secret in secrets if secret in _without_own(text, path)}
    assert leaks == {}


def _without_own(text, path):
    """A page repeats the address that was asked for, and the id in it."""
    for job_id in re.findall(r"\d{8}-\d{6}-[0-9a-f]{4}", path):
        text = text.replace(job_id, "")
    return text


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_a_job_of_somebody_else_answers_as_one_that_does_not_exist(client, job, ugo, addresses, method):
    client.force_login(ugo)
    of_jobs = [path for path in addresses if re.search(r"\d{8}-\d{6}-[0-9a-f]{4}", path)]
    different = {}
    for path in of_jobs:
        unknown = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", UNKNOWN, path)
        theirs, none = (client.generic(method, p, "{}", content_type="application/json") for p in (path, unknown))
        if theirs.status_code != none.status_code:
            different[path] = (theirs.status_code, none.status_code)
    assert different == {}
    assert len(of_jobs) > 60
    job.refresh_from_db()
    assert job.status == Status.ERROR


def test_the_index_lists_what_is_ones_own(client, job, ugo, make_dataset):
    own = make_dataset(name="own")
    type(own).objects.filter(pk=own.pk).update(owner="ugo")
    client.force_login(ugo)
    assert client.get("/index.json").json() == {
        "datasets": [{"id": own.pk, "name": "own", "status": "Waiting"}], "models": [],
    }  # fmt: skip
    assert client.get(f"/datasets/{own.pk}.json").json()["directory"] == ""


def test_nobodys_jobs_are_shown_to_operators_only(client, job, ugo):
    type(job).objects.update(owner="")
    client.force_login(ugo)
    assert client.get(f"/models/{job.pk}.json").status_code == 404


@pytest.mark.parametrize("path, field", [
    ("/models/images/classification.json", "dataset"), ("/models/visualize-network.json", "dataset"),
])  # fmt: skip
def test_a_form_knows_no_dataset_of_somebody_else(client, job, ugo, path, field):
    form = {"model_name": "m", "standard_networks": "lenet", "custom_network": "layer {}", field: job.dataset_id}
    client.force_login(ugo)
    answer = client.post(path, form)
    assert answer.status_code == 400
    assert "There is no dataset of that id." in answer.content.decode()


def test_a_form_knows_no_model_of_somebody_else(client, job, ugo):
    form = {"model_name": "m", "method": "previous", "previous_networks": job.pk, "dataset": UNKNOWN}
    client.force_login(ugo)
    answer = client.post("/models/images/classification.json", form)
    assert "There is no model of that id." in answer.content.decode()


def test_the_folder_of_a_job_of_somebody_else_gives_no_weights(client, job, ugo):
    client.force_login(ugo)
    form = {"model_name": "m", "method": "custom", "custom_network": "layer {}", "dataset": job.dataset_id}
    answers = [
        client.post("/models/images/classification.json", form | {"custom_network_snapshot": str(path)}).json()[
            "errors"
        ]
        for path in (job.directory / "snapshots/epoch-1/weights.npz", job.directory, job.directory.parent)
    ]
    said = [error["message"] for errors in answers for error in errors if error["field"] == "custom_network_snapshot"]
    assert len(said) == 3
    assert all("not in a folder that this server may read" in message for message in said)


@pytest.mark.parametrize("path", ["classification/classify_one", "classification/classify_many", "generic/infer_one"])
def test_no_model_of_somebody_else_answers(client, job, ugo, path, digits_folder):
    client.force_login(ugo)
    image = next(digits_folder.rglob("*.png"))
    form = {"job_id": job.pk, "image_path": str(image), "image_list": str(image)}
    assert client.post(f"/models/images/{path}.json", form).status_code == 404


def test_the_admin_proposes_and_filters_by_nothing_of_others(client, job, ugo):
    client.force_login(ugo)
    page = client.get("/admin/models_app/trainedmodel/add/").content.decode()
    assert job.pk not in page
    lists = [client.get(f"/admin/{kind}/").content.decode() for kind in ("datasets/dataset", "models_app/trainedmodel")]
    assert ["ada" in text for text in lists] == [False, False]


def test_a_dataset_whose_models_are_somebody_elses_does_not_name_them(client, job, ugo):
    type(job.dataset).objects.update(owner="ugo")
    client.force_login(ugo)
    answer = client.delete(f"/datasets/{job.dataset_id}.json")
    assert answer.status_code == 403
    assert "confidential model" not in answer.content.decode()
    page = client.get(f"/admin/datasets/dataset/{job.dataset_id}/change/").content.decode()
    assert "confidential model" not in page
    assert "confidential model" not in client.get(f"/admin/datasets/dataset/{job.dataset_id}/delete/").content.decode()


def test_paths_of_the_server_are_proposed_to_operators_only(client, ugo, digits_folder):
    query = {"query": f"{digits_folder}/"}
    client.force_login(ugo)
    assert client.get("/autocomplete/path.json", query).json() == {"suggestions": []}
    client.force_login(account("olga", "operator"))
    assert client.get("/autocomplete/path.json", query).json()["suggestions"]


def test_the_numbers_of_all_jobs_are_for_operators(client, ugo, job):
    assert client.get("/metrics", headers=token_of(ugo)).status_code == 403
    assert client.get("/metrics", headers=token_of(account("olga", "operator"))).status_code == 200


# --- what is shared -------------------------------------------------------------------------------------------------
@pytest.fixture
def shared(job, ugo):
    """The model, shared with a group that ugo is in; its dataset is not."""
    group = Group.objects.create(name="vision")
    ugo.groups.add(group)
    job.shared_with.add(group)
    return job


def test_a_shared_model_answers_its_group_and_is_changed_by_its_owner_only(client, shared, ugo, digits_folder):
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


def test_who_leaves_the_group_sees_it_no_more(client, shared, ugo):
    ugo.groups.remove(Group.objects.get(name="vision"))
    client.force_login(ugo)
    assert client.get(f"/models/{shared.pk}.json").status_code == 404


@pytest.mark.slow
def test_no_address_shows_a_path_of_the_server_or_the_dataset_that_is_not_shared(settings, shared, ugo, texts):
    private = (
        str(settings.DIGITS_JOBS_DIR),
        str(settings.DIGITS_HOME),
        shared.dataset.folder_train,
        "confidential dataset",
    )
    found = texts(ugo)
    assert found[f"/admin/models_app/trainedmodel/{shared.pk}/change/"][0] == 200
    leaks = {path: secret for path, (_, text) in found.items() for secret in private if secret in text}
    assert leaks == {}


@pytest.mark.slow
def test_the_owner_sees_no_paths_either_and_an_operator_sees_them(client, job, texts):
    ada = account("ada", "user", is_staff=True)
    found = {path: text for path, (_, text) in texts(ada).items()}
    private = (str(job.directory.parent), job.dataset.folder_train)
    assert {path: secret for path, text in found.items() for secret in private if secret in text} == {}
    assert "confidential model" in found[f"/models/{job.pk}"]
    assert "snapshots can't be written." in found[f"/models/{job.pk}.json"] + found[f"/jobs/{job.pk}/status"]
    client.force_login(account("olga", "operator"))
    facts = client.get(f"/models/{job.pk}.json").json()
    assert (facts["directory"], facts["error"]) == (str(job.directory), f"{job.directory}/snapshots can't be written.")
    assert client.get(f"/datasets/{job.dataset_id}.json").status_code == 200


def test_an_error_of_a_form_names_no_folder_of_the_server(client, ugo, digits_folder):
    client.force_login(ugo)
    form = {"dataset_name": "d", "folder_train": f"{digits_folder}/none"}
    said = client.post("/datasets/images/classification.json", form).content.decode()
    assert "none does not exist" in said
    assert str(digits_folder) not in said


# --- sharing --------------------------------------------------------------------------------------------------------
def test_an_owner_shares_with_own_groups_and_with_those_of_the_roles(client, job):
    ada = account("ada", "user")
    Group.objects.create(name="others")
    ada.groups.add(Group.objects.create(name="vision"))
    client.force_login(ada)

    def share(names):
        answer = client.put(f"/models/{job.pk}.json", {"shared_with": names}, content_type="application/json")
        return answer.status_code, sorted(job.shared_with.values_list("name", flat=True))

    assert share("vision, viewer") == (200, ["viewer", "vision"])
    assert share("others") == (400, ["viewer", "vision"])
    assert share(["vision"]) == (200, ["vision"])
    assert share("") == (200, [])
    assert audit.AuditEntry.objects.filter(action="share").first().detail == "nobody"


def test_an_owner_shares_in_the_admin(client, job):
    ada = account("ada", "user", is_staff=True)
    vision = Group.objects.create(name="vision")
    ada.groups.add(vision)
    client.force_login(ada)
    address = f"/admin/models_app/trainedmodel/{job.pk}/change/"
    assert "vision" in client.get(address).content.decode()
    client.post(address, {"name": "renamed", "notes": "", "priority": 0, "shared_with": [vision.pk]})
    job.refresh_from_db()
    assert (job.name, list(job.shared_with.all())) == ("renamed", [vision])


def test_a_command_shares(job, capsys):
    Group.objects.create(name="vision")
    call_command("share", job.pk, "vision", "--json")
    assert json.loads(capsys.readouterr().out) == {"id": job.pk, "shared_with": ["vision"]}
    call_command("share", job.pk)
    assert not job.shared_with.exists()


# --- who sees all ---------------------------------------------------------------------------------------------------
def test_commands_see_all(job, capsys):
    call_command("jobs")
    assert job.pk in capsys.readouterr().out


def test_without_the_setting_everybody_sees_all(settings, client, job, ugo):
    settings.DIGITS_PRIVATE = False
    client.force_login(ugo)
    facts = client.get(f"/models/{job.pk}.json").json()
    assert facts["directory"] == str(job.directory)
    assert "shared_with" not in facts


@pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
def test_two_accounts_that_poll_one_job_get_their_own_answers(client, job, role):
    mine, theirs = (token_of(account(name, role.group)) for name in ("ada", "ugo"))
    status = f"/models/{job.pk}/status"
    assert client.get(status, headers=mine).json()["status"] == "Error"
    assert client.get(status, headers=theirs).json() == {"error": "Job not found."}
    assert client.get(status, headers=theirs).json() == client.get(f"/models/{UNKNOWN}/status", headers=theirs).json()


def test_an_open_server_can_not_be_private(monkeypatch):
    monkeypatch.setenv("DIGITS_PRIVATE", "on")
    with pytest.raises(ImproperlyConfigured, match="it takes DIGITS_AUTH=required"):
        environment.private("DIGITS_PRIVATE", "open")
    assert environment.private("DIGITS_PRIVATE", "required")
