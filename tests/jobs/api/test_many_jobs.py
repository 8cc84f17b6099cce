"""Actions on several jobs at once and their groups, JSON and text of actions, and the files of a job's folder."""

import json
import os

import pytest

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
UNKNOWN = "20200101-000000-abcd"
JSON = "application/json"


def statuses():
    return sorted(Dataset.objects.values_list("status", flat=True))


def description(response):
    assert response.status_code == 400, response.content
    return response.json()["error"]["description"]


# --- several jobs ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("as_json", [True, False])
def test_several_jobs_are_aborted_and_deleted_at_once(client, make_dataset, as_json):
    ids = [make_dataset().pk for _ in range(3)]
    body = (json.dumps({"job_ids[]": ids}), JSON) if as_json else ({"job_ids[]": ids},)
    assert client.post("/abort_jobs.json", body[0], *body[1:]).json() == {"message": "Jobs aborted."}
    assert statuses() == [Status.ABORTED] * 3
    assert client.delete("/jobs", json.dumps({"job_ids[]": ids}), JSON).content == b"Jobs deleted."
    assert not Dataset.objects.exists()


def test_jobs_to_delete_can_be_in_the_query_string(client, make_dataset):
    ids = [make_dataset().pk for _ in range(2)]
    assert client.delete(f"/jobs.json?job_ids[]={ids[0]}&job_ids[]={ids[1]}").status_code == 200
    assert not Dataset.objects.exists()


def test_a_job_that_cannot_be_changed_is_counted_and_the_others_are_changed(client, make_dataset, make_model):
    model, failed, waiting = make_model(make_dataset()), make_dataset(), make_dataset()
    lifecycle.advance(failed, Status.ERROR)
    aborted = client.post("/abort_jobs", {"job_ids[]": [failed.pk, UNKNOWN, waiting.pk]})
    assert description(aborted).startswith("1 job not found. 1 job failed to abort. digits has ended (Error)")
    waiting.refresh_from_db()
    assert waiting.status == Status.ABORTED
    kept = client.delete("/jobs.json", json.dumps({"job_ids[]": [model.dataset_id, failed.pk]}), JSON)
    assert f"1 job failed to delete. 1 job(s) depend on digits: lenet ({model.pk})" in description(kept)
    assert set(Dataset.objects.values_list("pk", flat=True)) == {model.dataset_id, waiting.pk}


def test_a_running_dataset_that_a_model_needs_is_not_stopped_by_a_refused_deletion(client, make_dataset, make_model):
    dataset = make_model(make_dataset()).dataset
    lifecycle.advance(dataset, Status.RUNNING)
    assert "depend on digits" in description(client.delete(f"/jobs.json?job_ids[]={dataset.pk}"))
    dataset.refresh_from_db()
    assert (dataset.status, dataset.abort_requested_at) == (Status.RUNNING, None)


def test_jobs_of_others_are_not_changed_together(client, settings, make_dataset):
    settings.DIGITS_AUTH = "required"
    theirs, own = make_dataset(), make_dataset()
    Dataset.objects.filter(pk=own.pk).update(owner="ugo")
    client.force_login(make_account("ugo", "user"))
    refused = client.post("/group.json", {"job_ids[]": [theirs.pk, own.pk], "group_name": "g"})
    assert description(refused) == "1 job not permitted to be regrouped."
    assert set(Dataset.objects.values_list("pk", "group_name")) == {(theirs.pk, ""), (own.pk, "g")}


@pytest.mark.parametrize("route", ["/abort_jobs.json", "/group.json"])
def test_an_action_without_jobs_is_an_error_of_its_field(client, route):
    response = client.post(route, {"group_name": "g"})
    assert [error["field"] for error in response.json()["errors"]] == ["job_ids[]"]


# --- groups ----------------------------------------------------------------------------------------------------------
def test_jobs_are_created_in_a_group_and_moved_to_another(client, digits_folder, settings, make_dataset):
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    form = {"dataset_name": "d", "folder_train": str(digits_folder), "group_name": "photos"}
    dataset = client.post("/datasets/images/classification.json", form).json()["id"]
    form = {"model_name": "m", "dataset": dataset, "standard_networks": "lenet", "group_name": "tries"}
    model = client.post("/models/images/classification.json", form).json()["id"]
    assert Dataset.objects.get(pk=dataset).group_name == "photos"
    assert TrainedModel.objects.get(pk=model).group_name == "tries"
    client.post("/group", {"job_ids[]": [dataset, model], "group_name": " both "})
    assert {Dataset.objects.get().group_name, TrainedModel.objects.get().group_name} == {"both"}
    client.put(f"/jobs/{model}.json", {"group_name": ""}, content_type=JSON)
    assert TrainedModel.objects.get().group_name == ""


# --- JSON and text ---------------------------------------------------------------------------------------------------
def test_an_action_with_the_json_suffix_responds_in_json(client, make_dataset):
    dataset = make_dataset()
    aborted = client.post(f"/datasets/{dataset.pk}/abort.json")
    assert aborted.json() == {"message": "Job aborted.", "id": dataset.pk, "status": "Aborted"}
    assert client.post(f"/jobs/{dataset.pk}/resume.json").json()["status"] == "Waiting"
    renamed = client.put(f"/jobs/{dataset.pk}", {"job_name": "n"}, content_type=JSON, headers={"Accept": JSON})
    assert renamed.json()["message"] == "Image Classification Dataset updated."
    assert client.delete(f"/jobs/{dataset.pk}.json").json() == {"message": "Job deleted.", "id": dataset.pk}


def test_an_action_responds_with_the_text_of_digits_in_its_wire_format(client, make_dataset, settings):
    settings.DIGITS_WIRE_FORMAT = "digits"
    response = client.post(f"/datasets/{make_dataset().pk}/abort.json")
    assert (response.content, response["Content-Type"]) == (b"Job aborted.", "text/plain; charset=utf-8")


# --- files -----------------------------------------------------------------------------------------------------------
def content(response):
    return b"".join(response.streaming_content)


def test_the_files_of_a_job_are_served_with_types_that_no_browser_runs(client, built_dataset):
    mean = client.get(f"/files/{built_dataset.pk}/mean.png")
    assert (mean["Content-Type"], content(mean)) == ("image/png", (built_dataset.directory / "mean.png").read_bytes())
    (built_dataset.directory / "lists").mkdir()
    (built_dataset.directory / "lists" / "page.html").write_text("<script>")
    page = client.get(f"/files/{built_dataset.pk}/lists/page.html")
    assert page["Content-Type"] == "application/octet-stream"
    assert page["Content-Disposition"] == 'attachment; filename="page.html"'
    assert "sandbox" in page["Content-Security-Policy"]
    assert content(page) == b"<script>"


@pytest.mark.parametrize(
    "path",
    [
        "../{other}/labels.txt", "%2e%2e/{other}/labels.txt", "..%2f{other}%2flabels.txt", "./labels.txt",
        "/etc/passwd", "%2fetc/passwd", "lists//a", "labels.txt/", "labels.txt%00.png", "link", "folder/labels.txt",
        "pipe", ".", "..", "a" * 300, "%ff", "%ed%a0%80", "~root", "labels.txt%0a",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder_of_a_job(client, make_dataset, path, tmp_path):
    dataset, other = make_dataset(), make_dataset()
    (other.directory / "labels.txt").write_text("secret")
    (dataset.directory / "link").symlink_to(other.directory / "labels.txt")
    (dataset.directory / "folder").symlink_to(other.directory)
    os.mkfifo(dataset.directory / "pipe")
    response = client.get(f"/files/{dataset.pk}/{path.format(other=other.pk)}")
    assert response.status_code == 404
    assert b"secret" not in response.content


def test_the_files_of_a_hidden_job_are_not_found_and_paths_are_shown_to_operators_only(client, settings, built_dataset):
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    client.force_login(make_account("ugo", "user"))
    assert client.get(f"/files/{built_dataset.pk}/mean.png").status_code == 404
    client.force_login(make_account("ada", "user"))
    files = ["mean.png", "labels.txt", "train.txt", "build.log"]
    assert [status(client, built_dataset, file) for file in files] == [200, 200, 403, 403]
    client.force_login(make_account("olga", "operator"))
    assert [status(client, built_dataset, file) for file in files] == [200] * 4


def status(client, job, file):
    response = client.get(f"/files/{job.pk}/{file}")
    b"".join(response)  # the client then closes the file
    return response.status_code
