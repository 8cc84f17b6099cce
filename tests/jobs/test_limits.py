"""Limits of an owner on every way to create jobs: waiting jobs, bytes on disk, snapshots of a model."""

import io
import threading
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from datasets import services as dataset_services
from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.common import errors
from digits_project.jobs import limits, quota, services
from digits_project.jobs.execution.runner import run
from digits_project.jobs.models import Status
from models_app import evaluations
from models_app import services as model_services
from models_app.models import TrainedModel
from models_app.results import Evaluation
from tests.support.api_requests import make_account, token_header
from tests.support.samples.row_samples import add_snapshot

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/classification.json"
MIB = 1 << 20


@pytest.fixture
def accounts_required(settings, digits_folder):
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def ugo(db, accounts_required):
    """A user named ugo, with access to the admin."""
    return make_account("ugo", "user", is_staff=True)


@pytest.fixture
def form(digits_folder):
    return {"dataset_name": "digits", "folder_train": str(digits_folder), "resize_width": 28, "resize_height": 28}


@pytest.fixture
def two_waiting(settings, client, ugo, form):
    """The ids of ugo's two waiting jobs, which reach the limit."""
    settings.DIGITS_MOST_WAITING = 2
    return [client.post(CREATE, form, headers=token_header(ugo)).json()["job_id"] for _ in range(2)]


@pytest.fixture
def large(settings, make_dataset):
    """A dataset of ugo's that takes two MiB, over the limit of one."""
    settings.DIGITS_MAX_OWNER_DISK = 1
    dataset = make_dataset()
    Dataset.objects.update(owner="ugo")
    (dataset.directory / "large").write_bytes(bytes(2 * MIB))
    dataset.refresh_from_db()
    return dataset


# --- waiting jobs ---------------------------------------------------------------------------------------------------
def test_the_api_refuses_a_job_beyond_the_limit_of_waiting_jobs(client, ugo, two_waiting, form):
    response = client.post(CREATE, form, headers=token_header(ugo))
    assert (response.status_code, response.json()["error"]["type"]) == (429, "TooManyRequests")
    assert Dataset.objects.count() == 2


def test_the_admins_add_page_refuses_a_job_beyond_the_limit_of_waiting_jobs(client, ugo, two_waiting, form):
    client.force_login(ugo)
    page = client.post("/admin/datasets/dataset/add/", form)
    assert "2 jobs of yours are waiting already" in page.content.decode()
    assert Dataset.objects.count() == 2


def test_a_command_refuses_a_job_beyond_the_limit_of_waiting_jobs(two_waiting, digits_folder):
    with pytest.raises(CommandError, match="2 jobs of yours are waiting"):
        call_command("create_dataset", "digits", "--folder-train", str(digits_folder), "--owner", "ugo", "--no-wait")
    assert Dataset.objects.count() == 2


@pytest.mark.parametrize("address", ["/jobs/{}/resume", "/admin/datasets/dataset/{}/resume/"])
def test_a_resumed_job_counts_as_a_waiting_job(client, ugo, two_waiting, form, address):
    client.force_login(ugo)
    client.post(f"/jobs/{two_waiting[0]}/abort")
    assert client.post(CREATE, form).status_code == 200
    client.post(address.format(two_waiting[0]))
    assert Dataset.objects.get(pk=two_waiting[0]).status == Status.ABORTED


def test_a_sweep_beyond_the_limit_creates_no_job(ugo, two_waiting):
    dataset = Dataset.objects.get(pk=two_waiting[0])
    services.abort(Dataset.objects.get(pk=two_waiting[1]))
    fields = {"name": "m", "standard_network": "lenet"}
    with pytest.raises(errors.LimitReached):
        model_services.create_models("ugo", dataset, learning_rates=[0.1, 0.01], batch_sizes=[None], **fields)
    assert not TrainedModel.objects.exists()
    assert {path.name for path in dataset.directory.parent.glob("[!.]*")} == set(two_waiting)


def test_a_requested_evaluation_counts_as_a_waiting_job(ugo, two_waiting, built_dataset, make_model):
    model = make_model(built_dataset)
    add_snapshot(model, 1, seed=1)
    with pytest.raises(errors.LimitReached):
        evaluations.evaluate(model, "val", owner="ugo")


def test_the_evaluation_after_a_training_is_exempt_from_the_limit(ugo, two_waiting, built_dataset, make_model):
    model = make_model(built_dataset)
    add_snapshot(model, 1, seed=1)
    TrainedModel.objects.update(owner="ugo", status=Status.DONE)
    evaluations.after_training(model.pk)
    assert Evaluation.objects.get().owner == "ugo"


def test_operators_jobs_without_owner_and_open_servers_have_no_limit_of_waiting_jobs(
    settings, ugo, two_waiting, make_dataset
):
    make_account("ada", "operator")
    make_dataset()
    dataset_services.create_dataset("", name="nobody's", folder_train=Dataset.objects.first().folder_train)
    settings.DIGITS_AUTH = "open"
    dataset_services.create_dataset("ugo", name="open", folder_train=Dataset.objects.first().folder_train)
    assert Dataset.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_do_not_exceed_the_limit_of_waiting_jobs(settings, ugo, digits_folder):
    settings.DIGITS_MOST_WAITING = 3
    refusals = []

    def create():
        try:
            dataset_services.create_dataset("ugo", name="d", folder_train=str(digits_folder))
        except errors.LimitReached:
            refusals.append(1)
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Dataset.objects.count(), len(refusals)) == (3, 5)


# --- bytes on disk --------------------------------------------------------------------------------------------------
def test_a_user_over_the_disk_limit_cannot_create_jobs(client, ugo, large, form):
    response = client.post(CREATE, form, headers=token_header(ugo))
    assert response.status_code == 507
    assert (
        "take 2 MiB on disk; at most 1 MiB are allowed (DIGITS_MAX_OWNER_DISK)"
        in response.json()["error"]["description"]
    )
    client.force_login(ugo)
    assert "DIGITS_MAX_OWNER_DISK" in client.post("/admin/datasets/dataset/add/", form).content.decode()
    services.delete(large)
    assert client.post(CREATE, form).status_code == 200


def test_an_upload_counts_against_the_disk_limit_before_it_is_built(settings, client, ugo):
    settings.DIGITS_MAX_OWNER_DISK = 1
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("a/1.png", "b/1.png"):
            archive.writestr(name, bytes(MIB))
    upload = SimpleUploadedFile("images.zip", buffer.getvalue())
    response = client.post(CREATE, {"dataset_name": "d", "archive_train": upload}, headers=token_header(ugo))
    assert response.status_code == 507
    assert not Dataset.objects.exists()


def test_an_ended_job_is_not_resumed_while_its_owner_is_over_the_disk_limit(client, ugo, large):
    services.abort(large)
    response = client.post(f"/jobs/{large.pk}/resume", headers=token_header(ugo))
    assert response.status_code == 507
    assert "then resume this job" in response.json()["error"]["description"]


def test_a_job_that_exceeds_the_disk_limit_ends_with_the_reason(settings, monkeypatch, ugo, make_dataset):
    settings.DIGITS_MAX_OWNER_DISK = 1
    monkeypatch.setattr(limits, "MEASURE_SECONDS", 0)
    monkeypatch.setattr("digits_project.jobs.execution.runner.LOOK_SECONDS", 0)
    monkeypatch.setattr("digits_project.jobs.execution.runner.WRITE_SECONDS", 0)
    dataset = make_dataset()
    Dataset.objects.update(owner="ugo")

    def write(job, report):
        (job.directory / "large").write_bytes(bytes(2 * MIB))
        report(0.5)

    run(Dataset, dataset.pk, write)
    dataset.refresh_from_db()
    assert dataset.status == Status.ERROR
    assert (
        "at most 1 MiB are allowed (DIGITS_MAX_OWNER_DISK). Delete jobs or snapshots, then resume this job."
        in dataset.error
    )


def test_a_folder_is_measured_again_after_each_change(make_dataset):
    dataset = make_dataset()
    before = quota.used("ada")
    build_dataset(dataset.pk)
    built = quota.used("ada")
    assert built > before
    dataset.refresh_from_db()
    assert dataset.disk_bytes == built
    services.delete(dataset)
    assert quota.used("ada") == 0


def test_deleting_a_snapshot_frees_disk_usage(built_dataset, make_model):
    model = make_model(built_dataset)
    snapshot = add_snapshot(model, 1, seed=1)
    TrainedModel.objects.update(status=Status.DONE)
    before = quota.used("ada")
    model_services.delete_snapshot(snapshot)
    assert quota.used("ada") < before


def test_owners_see_their_usage_and_limits(settings, client, ugo, large):
    settings.DIGITS_MOST_WAITING = 7
    account = client.get("/account.json", headers=token_header(ugo)).json()
    assert account == {
        "name": "ugo", "group": "user", "waiting": 1, "max_waiting": 7,
        "disk_bytes": 2 * MIB + account["disk_bytes"] % MIB, "max_disk_bytes": MIB,
    }  # fmt: skip
    client.force_login(ugo)
    assert "of at most 1.0\xa0MB" in client.get("/account", headers={"Accept": "text/html"}).content.decode()


def test_operators_see_the_usage_of_each_owner(admin_client, ugo, large):
    page = admin_client.get("/admin/").content.decode()
    owners = page.partition('id="owners"')[2].partition("</section>")[0]
    assert "<th>ugo</th><td>1</td>" in owners
    assert "of 1.0\xa0MB" in owners


# --- snapshots of a model -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fields, refused", [
    ({}, True), ({"snapshot_interval": 10}, False), ({"keep_snapshots": 4}, False), ({"keep_snapshots": 5}, True),
    ({"snapshot_interval": 0}, False), ({"snapshot_interval": 0.5, "train_epochs": 2}, False),
    ({"snapshot_interval": 0.5, "train_epochs": 3}, True),
])  # fmt: skip
def test_a_model_that_would_store_too_many_snapshots_is_refused(settings, client, ugo, built_dataset, fields, refused):
    settings.DIGITS_MAX_SNAPSHOTS = 5
    form = {"model_name": "m", "dataset": built_dataset.pk, "standard_networks": "lenet", **fields}
    response = client.post("/models/images/classification.json", form, headers=token_header(ugo))
    assert response.status_code == (400 if refused else 200)
    assert ("snapshot_interval" in response.content.decode()) == refused


def test_the_admin_and_a_command_report_too_many_snapshots(settings, client, ugo, built_dataset):
    settings.DIGITS_MAX_SNAPSHOTS = 5
    form = {"model_name": "m", "dataset": built_dataset.pk, "standard_networks": "lenet"}
    client.force_login(ugo)
    assert "a model can keep at most 5" in client.post("/admin/models_app/trainedmodel/add/", form).content.decode()
    with pytest.raises(CommandError, match="a model can keep at most 5"):
        call_command(
            "train_model", "m", "--dataset", built_dataset.pk, "--standard-networks", "lenet", "--owner", "ugo",
            "--no-wait",
        )  # fmt: skip
