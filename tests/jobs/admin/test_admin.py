"""Django's admin: every page opens, statuses are read-only, and its actions use the services."""

import pytest

from datasets.models import Dataset
from digits_project.jobs.models import Device, Status
from models_app.models import TrainedModel

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(built_dataset, make_model, cpu):
    return {"datasets/dataset": built_dataset, "models_app/trainedmodel": make_model(built_dataset), "jobs/device": cpu}


@pytest.mark.parametrize("model", ["datasets/dataset", "models_app/trainedmodel", "jobs/device"])
def test_the_list_and_the_page_of_each_model_open(admin_client, rows, model):
    listed = admin_client.get(f"/admin/{model}/")
    page = admin_client.get(f"/admin/{model}/{rows[model].pk}/change/")
    assert (listed.status_code, page.status_code) == (200, 200)


def test_the_admins_own_style_sheet_is_served(client):
    assert b"--primary" in b"".join(client.get("/static/admin/css/base.css"))


def test_a_job_can_be_renamed_but_its_status_is_read_only(admin_client, make_dataset):
    dataset = make_dataset()
    form = {"name": "cats", "notes": "", "priority": 3, "status": "Done", "progress": 1}
    admin_client.post(f"/admin/datasets/dataset/{dataset.pk}/change/", form)
    dataset.refresh_from_db()
    assert (dataset.name, dataset.priority, dataset.status, dataset.progress) == ("cats", 3, Status.WAITING, 0)


def test_the_abort_action_aborts_a_job(admin_client, make_dataset):
    dataset = make_dataset()
    admin_client.post("/admin/datasets/dataset/", {"action": "abort", "_selected_action": [dataset.pk]})
    dataset.refresh_from_db()
    assert dataset.status == Status.ABORTED


def test_deleting_a_dataset_removes_its_folder(admin_client, built_dataset):
    admin_client.post(f"/admin/datasets/dataset/{built_dataset.pk}/delete/", {"post": "yes"})
    assert not Dataset.objects.exists()
    assert not built_dataset.directory.exists()


def test_the_admin_does_not_delete_a_dataset_with_a_model(admin_client, rows):
    dataset = rows["datasets/dataset"]
    admin_client.post(f"/admin/datasets/dataset/{dataset.pk}/delete/", {"post": "yes"})
    assert (Dataset.objects.count(), TrainedModel.objects.count()) == (1, 1)
    assert dataset.directory.exists()


def test_the_page_of_a_device_switches_it_off(admin_client, cpu):
    admin_client.post(f"/admin/jobs/device/{cpu.pk}/change/", {})
    assert not Device.objects.get().enabled
