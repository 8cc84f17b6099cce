"""What may run now, and who gets which device."""

import time

import pytest
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer

from digits_project.jobs import lifecycle, queues
from digits_project.jobs.dispatch import dispatch
from digits_project.jobs.models import Device, Status

pytestmark = pytest.mark.django_db


def queued(name):
    """The ids of the jobs in a queue; RQ's own ids end with the attempt."""
    return [queued_id.rpartition("-")[0] for queued_id in queues.queue(name).job_ids]


def train_queue(device):
    return f"train-{device.host}"


def test_a_new_dataset_is_queued_once_however_often_dispatch_runs(make_dataset):
    dataset = make_dataset()
    for _ in range(3):
        dispatch()
    assert queued("io") == [dataset.pk]


def test_redis_that_forgot_everything_is_told_again(make_dataset):
    dataset = make_dataset()
    dispatch()
    queues.queue("io").empty()
    dispatch()
    assert queued("io") == [dataset.pk]


def test_a_queued_id_whose_key_remains_but_whose_list_is_lost_is_queued_again(make_dataset):
    dataset = make_dataset()
    dispatch()
    queues.connection().delete(queues.queue("io").key)
    dispatch()
    assert queued("io") == [dataset.pk]


def test_the_higher_priority_goes_first_then_the_older(make_dataset, live_worker):
    for _ in range(3):
        live_worker("io")
    older, urgent, newer = make_dataset(), make_dataset(priority=5), make_dataset()
    dispatch()
    assert queued("io") == [urgent.pk, older.pk, newer.pk]


def test_only_as_many_as_there_are_workers_leave_postgresql(make_dataset, live_worker):
    live_worker("io")
    live_worker("io")
    for _ in range(5):
        make_dataset()
    dispatch()
    assert len(queued("io")) == 2


def test_a_model_waits_for_its_dataset(make_dataset, make_model, cpu, live_worker):
    live_worker(train_queue(cpu))
    make_model(make_dataset())
    dispatch()
    assert queued(train_queue(cpu)) == []


def test_a_model_whose_dataset_is_done_gets_a_device_and_a_queue(built_dataset, make_model, cpu, live_worker):
    live_worker(train_queue(cpu))
    model = make_model(built_dataset)
    dispatch()
    cpu.refresh_from_db()
    assert (cpu.leased_to, queued(train_queue(cpu))) == (model.pk, [model.pk])


def test_a_device_is_leased_to_one_model_at_a_time(built_dataset, make_model, cpu, live_worker):
    live_worker(train_queue(cpu))
    first, second = make_model(built_dataset), make_model(built_dataset)
    dispatch()
    dispatch()
    assert queued(train_queue(cpu)) == [first.pk]
    lifecycle.advance(first, Status.ABORTED)
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == second.pk


def test_a_device_that_is_switched_off_gets_nothing(built_dataset, make_model, cpu, live_worker):
    live_worker(train_queue(cpu))
    Device.objects.update(enabled=False)
    make_model(built_dataset)
    dispatch()
    assert queued(train_queue(cpu)) == []


def test_a_device_without_a_worker_gets_nothing_until_one_comes(built_dataset, make_model, cpu, live_worker):
    model = make_model(built_dataset)
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == ""
    live_worker(train_queue(cpu))
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == model.pk


def test_a_lease_on_a_host_that_lost_its_worker_is_taken_back(built_dataset, make_model, cpu, live_worker):
    worker = live_worker(train_queue(cpu))
    make_model(built_dataset)
    dispatch()
    worker.register_death()
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == ""


@pytest.mark.parametrize("end, fate", [("Error", "failed: no images"), ("Aborted", "was aborted.")])
def test_a_dataset_that_comes_to_nothing_fails_its_models_with_the_reason(make_dataset, make_model, end, fate):
    dataset = make_dataset()
    model = make_model(dataset)
    lifecycle.advance(dataset, Status(end), error="no images" if end == "Error" else "")
    dispatch()
    model.refresh_from_db()
    assert (model.status, model.error) == (Status.ERROR, f"Its dataset digits ({dataset.pk}) {fate}")


def test_a_job_whose_execution_has_expired_in_redis_can_be_removed(make_dataset):
    dataset = make_dataset()
    dispatch()
    (queued_id,) = queues.queue("io").job_ids
    job = QueuedJob.fetch(queued_id, connection=queues.connection(), serializer=JSONSerializer)
    queues.connection().zadd(job.execution_registry.key, {"gone": time.time() + 60})
    queues.connection().delete(queues.queue("io").key)
    dispatch()
    assert queued("io") == [dataset.pk]
    assert not queues.connection().exists(job.execution_registry.key)
