"""Actions and buttons of the admin on jobs and devices."""

import threading

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from datasets.models import Dataset
from digits_project.accounts.models import AuditEntry
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from models_app.models import TrainedModel
from models_app.results import Metric
from tests.support.api_requests import make_account
from tests.support.server import wait_until

pytestmark = pytest.mark.django_db

LIST = "/admin/datasets/dataset/"
DEVICES = "/admin/jobs/device/"


def post_action(client, name, *rows, list_page=LIST, **more):
    return client.post(list_page, {"action": name, "_selected_action": [row.pk for row in rows], **more}, follow=True)


@pytest.fixture
def operator(settings):
    """The client of a staff account that is an operator."""
    settings.DIGITS_AUTH = "required"
    client = Client()
    client.force_login(make_account("olga", "operator", is_staff=True))
    return client


def test_the_resume_action_resumes_an_aborted_job(operator, make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.ABORTED)
    post_action(operator, "resume", dataset)
    dataset.refresh_from_db()
    assert dataset.status == Status.WAITING


def test_the_resume_action_reports_a_job_that_cannot_be_resumed(operator, make_dataset):
    page = post_action(operator, "resume", make_dataset()).content.decode()
    assert "is Waiting; only an aborted or failed job can be resumed" in page


def test_the_buttons_of_a_jobs_page_abort_and_resume_it(operator, make_dataset):
    dataset = make_dataset()
    operator.post(reverse("admin:datasets_dataset_abort", args=[dataset.pk]))
    dataset.refresh_from_db()
    assert dataset.status == Status.ABORTED
    operator.post(reverse("admin:datasets_dataset_resume", args=[dataset.pk]))
    dataset.refresh_from_db()
    assert dataset.status == Status.WAITING
    assert operator.get(reverse("admin:datasets_dataset_abort", args=[dataset.pk])).status_code == 405


def test_an_action_changes_the_priority_of_several_jobs(operator, make_dataset):
    first, second = make_dataset(), make_dataset()
    post_action(operator, "change_priority", first, second, priority="7")
    assert list(Dataset.objects.values_list("priority", flat=True)) == [7, 7]
    assert AuditEntry.objects.filter(actor="olga", action="change priority", detail="7").count() == 2


@pytest.mark.parametrize("priority", ["", "soon", "99999"])
def test_an_invalid_priority_changes_nothing(operator, make_dataset, priority):
    page = post_action(operator, "change_priority", make_dataset(), priority=priority).content.decode()
    assert "Write the priority beside the action" in page
    assert Dataset.objects.get().priority == 0


def test_the_page_before_a_deletion_names_the_models_of_a_dataset(operator, built_dataset, make_model):
    make_model(built_dataset, name="lenet")
    page = operator.get(reverse("admin:datasets_dataset_delete", args=[built_dataset.pk])).content.decode()
    assert "(lenet), which depends on digits; delete it first" in page


@pytest.mark.django_db(transaction=True)
def test_deleting_a_running_job_stops_it_first(admin_client, make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker="somewhere")

    def stop_on_request():
        wait_until(lambda: Dataset.objects.get().abort_requested_at)
        lifecycle.advance(Dataset.objects.get(), Status.ABORTED)
        connection.close()

    worker = threading.Thread(target=stop_on_request)
    worker.start()
    admin_client.post(reverse("admin:datasets_dataset_delete", args=[dataset.pk]), {"post": "yes"})
    worker.join()
    assert not Dataset.objects.exists()


def test_the_page_before_a_deletion_counts_the_rows_to_delete(operator, built_dataset, make_model):
    model = make_model(built_dataset)
    Metric.objects.create(trained_model=model, split="val", epoch=1, loss=1, learning_rate=1)
    page = operator.get(reverse("admin:models_app_trainedmodel_delete", args=[model.pk])).content.decode()
    assert "0 snapshots, 1 metrics, 0 evaluations" in page
    operator.post(reverse("admin:models_app_trainedmodel_delete", args=[model.pk]), {"post": "yes"})
    assert not TrainedModel.objects.exists()


def test_actions_switch_a_device_off_and_on(operator, cpu):
    post_action(operator, "switch_off", cpu, list_page=DEVICES)
    assert not Device.objects.get().enabled
    post_action(operator, "switch_on", cpu, list_page=DEVICES)
    assert Device.objects.get().enabled
    assert AuditEntry.objects.filter(actor="olga", action="change device").count() == 2


def test_a_lease_is_broken_only_after_a_confirmation(operator, cpu, built_dataset, make_model):
    model = make_model(built_dataset, name="lenet")
    Device.objects.update(leased_to=model.pk)
    page = post_action(operator, "break_lease", cpu, list_page=DEVICES).content.decode()
    assert "This does not stop a job" in page
    assert "lenet" in page
    assert Device.objects.get().leased_to == model.pk
    post_action(operator, "break_lease", cpu, list_page=DEVICES, confirmed="yes")
    assert Device.objects.get().leased_to == ""
    assert AuditEntry.objects.filter(actor="olga", action="break lease", detail=f"of {model.pk}").exists()


def test_a_leased_device_that_is_off_is_shown_as_draining(operator, cpu):
    Device.objects.update(leased_to="20260101-000000-abcd", enabled=False)
    assert "draining" in operator.get(DEVICES).content.decode()
