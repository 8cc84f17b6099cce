"""The admin's front page: devices, workers, the queue, the disk and the last day at a glance."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from redis import Redis

from digits_project.jobs import disk_usage, lifecycle
from digits_project.jobs.models import Device, Status
from digits_project.jobs.overview import overview
from digits_project.jobs.scheduling import devices, queues

pytestmark = pytest.mark.django_db


def reasons():
    return {place.job.name: (place.position, place.reason) for place in overview()["queue"]}


def test_the_front_page_shows_devices_workers_queue_and_disk(
    admin_client, built_dataset, make_dataset, cpu, register_worker
):
    worker = register_worker("io")
    make_dataset(name="cats")
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert all(text in page for text in (str(cpu), worker.hostname, "cats", "waiting for a worker", "are free"))


def test_the_reason_of_a_model_names_the_dataset_that_it_waits_for(make_dataset, make_model):
    model = make_model(make_dataset(name="digits"))
    assert reasons()[model.name] == (1, "waiting for dataset digits (Waiting, 0%)")


def test_the_reason_of_a_job_without_a_worker_says_which_is_missing(built_dataset, make_dataset, make_model, cpu):
    make_dataset(name="cats")
    make_model(built_dataset, name="lenet")
    assert reasons() == {
        "cats": (1, "waiting for a worker: none for datasets is alive"),
        "lenet": (1, "waiting for a worker: none for training is alive"),
    }


def test_models_that_wait_for_a_device_are_listed_in_order(built_dataset, make_model, cpu, register_worker):
    register_worker(cpu.queue_name)
    first = make_model(built_dataset, name="first")
    Device.objects.update(leased_to=first.pk)
    make_model(built_dataset, name="second")
    make_model(built_dataset, name="urgent", priority=5)
    assert reasons() == {
        "urgent": (1, "waiting for a device"),
        "first": (2, "waiting for a worker"),  # it has the device
        "second": (3, "waiting for a device"),
    }


def test_the_reason_of_a_model_says_that_every_device_is_off(built_dataset, make_model, cpu, register_worker):
    register_worker(cpu.queue_name)
    Device.objects.update(enabled=False)
    make_model(built_dataset)
    assert reasons()["lenet"] == (1, "every device is switched off")


def test_without_gpus_a_model_for_several_waits_for_the_devices_that_there_are(
    admin_client, built_dataset, make_model, cpu, register_worker
):
    register_worker(cpu.queue_name)
    Device.objects.update(leased_to="another")
    make_model(built_dataset, select_gpu_count=4)
    assert reasons()["lenet"] == (1, "waiting for a device")
    assert "1 <small>of models</small>" in admin_client.get(reverse("admin:index")).content.decode()


def test_the_reason_of_a_model_names_the_gpu_that_it_waits_for(built_dataset, make_model, cpu, register_worker):
    register_worker(cpu.queue_name)
    Device.objects.create(host=cpu.host, type="gpu", index=1, leased_to="another")
    make_model(built_dataset, select_gpus=[1])
    assert reasons()["lenet"] == (1, "waiting for GPU 1")


def test_jobs_of_the_last_day_are_counted_by_outcome(make_dataset):
    lifecycle.advance(make_dataset(), Status.ABORTED)
    lifecycle.advance(make_dataset(), Status.ERROR, ended_at=timezone.now() - timedelta(hours=25))
    outcomes = {outcome.route: dict(outcome.counts) for outcome in overview()["outcomes"]}
    assert outcomes["datasets"] == {"Done": 0, "Aborted": 1, "Error": 0}


def test_the_front_page_opens_while_redis_is_unreachable(admin_client, cpu, make_dataset, monkeypatch):
    make_dataset(name="cats")
    monkeypatch.setattr(queues, "connection", lambda: Redis(port=1, retry=None))
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "Redis can't be reached, so the state of the workers is unknown" in page
    assert "cats" in page


def test_the_front_page_runs_the_same_number_of_queries_for_any_number_of_jobs(
    admin_client, built_dataset, make_model, make_dataset, cpu, django_assert_num_queries, django_assert_max_num_queries
):
    admin_client.get(reverse("admin:index"))  # the first request measures the folders
    with django_assert_max_num_queries(46) as first:
        admin_client.get(reverse("admin:index"))
    queries = len(first)
    for number in range(4):
        make_model(built_dataset, name=f"model {number}")
        make_dataset(name=f"dataset {number}")
    admin_client.get(reverse("admin:index"))
    with django_assert_num_queries(queries):
        admin_client.get(reverse("admin:index"))


def test_the_size_of_a_folder_includes_its_subfolders_but_follows_no_links(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "below" / "b").write_bytes(b"123")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert disk_usage.size(tmp_path) == 8 + len("/etc/passwd")
    assert disk_usage.size(tmp_path / "none") == 0


def test_the_overview_has_no_use_for_a_cpu(cpu):
    assert overview()["devices"] == [{"device": devices.Device.objects.get(), "use": None}]


def test_the_overview_has_no_use_for_a_gpu_that_nvml_does_not_find(admin_client, cpu):
    Device.objects.create(host=cpu.host, type="gpu", index=99, model_name="Gone")
    assert [entry["use"] for entry in overview()["devices"]] == [None, None]
    assert "gpu99" in admin_client.get("/admin/jobs/device/").content.decode()
