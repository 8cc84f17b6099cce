"""Dispatch: which jobs are queued, in which order, and which device each gets."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.models import TrainedModel

pytestmark = pytest.mark.django_db


def queued(name):
    """The ids of the jobs in a queue; RQ's own ids end with the attempt."""
    return [queued_id.rpartition("-")[0] for queued_id in queues.queue(name).job_ids]


def train_queue(device):
    return f"train-{device.host}"


def test_a_new_dataset_is_queued_once_though_dispatch_runs_repeatedly(make_dataset):
    dataset = make_dataset()
    for _ in range(3):
        dispatch()
    assert queued("io") == [dataset.pk]


def test_dispatch_queues_jobs_again_after_redis_lost_them(make_dataset):
    dataset = make_dataset()
    dispatch()
    queues.queue("io").empty()
    dispatch()
    assert queued("io") == [dataset.pk]


def test_a_job_whose_redis_key_remains_but_whose_queue_is_lost_is_queued_again(make_dataset):
    dataset = make_dataset()
    dispatch()
    queues.connection().delete(queues.queue("io").key)
    dispatch()
    assert queued("io") == [dataset.pk]


def test_jobs_are_queued_by_priority_then_age(make_dataset, register_worker):
    for _ in range(3):
        register_worker("io")
    older, urgent, newer = make_dataset(), make_dataset(priority=5), make_dataset()
    dispatch()
    assert queued("io") == [urgent.pk, older.pk, newer.pk]


def test_dispatch_queues_only_as_many_jobs_as_there_are_workers(make_dataset, register_worker):
    register_worker("io")
    register_worker("io")
    for _ in range(5):
        make_dataset()
    dispatch()
    assert len(queued("io")) == 2


def test_a_model_waits_for_its_dataset(make_dataset, make_model, cpu, register_worker):
    register_worker(train_queue(cpu))
    make_model(make_dataset())
    dispatch()
    assert queued(train_queue(cpu)) == []


def test_a_model_whose_dataset_is_done_gets_a_device_and_is_queued(built_dataset, make_model, cpu, register_worker):
    register_worker(train_queue(cpu))
    model = make_model(built_dataset)
    dispatch()
    cpu.refresh_from_db()
    assert (cpu.leased_to, queued(train_queue(cpu))) == (model.pk, [model.pk])


def test_a_device_is_leased_to_one_model_at_a_time(built_dataset, make_model, cpu, register_worker):
    register_worker(train_queue(cpu))
    first, second = make_model(built_dataset), make_model(built_dataset)
    dispatch()
    dispatch()
    assert queued(train_queue(cpu)) == [first.pk]
    lifecycle.advance(first, Status.ABORTED)
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == second.pk


def test_a_device_that_is_switched_off_gets_no_job(built_dataset, make_model, cpu, register_worker):
    register_worker(train_queue(cpu))
    Device.objects.update(enabled=False)
    make_model(built_dataset)
    dispatch()
    assert queued(train_queue(cpu)) == []


def test_a_device_gets_no_job_until_its_host_has_a_worker(built_dataset, make_model, cpu, register_worker):
    model = make_model(built_dataset)
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == ""
    register_worker(train_queue(cpu))
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == model.pk


def test_dispatch_does_not_sort_the_waiting_models_while_no_device_is_free(built_dataset, make_model, register_worker):
    register_worker("train-elsewhere")
    make_model(built_dataset)
    TrainedModel.objects.filter(pk=make_model(built_dataset).pk).update(owner="ben")
    with CaptureQueriesContext(connection) as queries:
        dispatch()
    assert [query["sql"] for query in queries if "ROW_NUMBER" in query["sql"]] == []


def test_a_lease_on_a_host_that_lost_its_worker_is_released(built_dataset, make_model, cpu, register_worker):
    worker = register_worker(train_queue(cpu))
    make_model(built_dataset)
    dispatch()
    worker.register_death()
    dispatch()
    cpu.refresh_from_db()
    assert cpu.leased_to == ""


@pytest.mark.parametrize("end, fate", [("Error", "failed: no images"), ("Aborted", "was aborted.")])
def test_a_dataset_that_failed_or_was_aborted_fails_its_models_with_the_reason(make_dataset, make_model, end, fate):
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


@pytest.fixture
def dataset_of(make_dataset):
    """A function that creates a waiting dataset of this owner."""

    def dataset_of(owner, **fields):
        dataset = make_dataset(**fields)
        Dataset.objects.filter(pk=dataset.pk).update(owner=owner)
        return dataset

    return dataset_of


def order():
    return [job.pk for job in Dataset.ready()]


def run_to_end(job):
    """Advance the job through Running to Done."""
    lifecycle.advance(job, Status.RUNNING)
    lifecycle.advance(job, Status.DONE)


def test_jobs_of_several_owners_alternate_in_the_queue(dataset_of):
    ada = [dataset_of("ada") for _ in range(3)]
    ben = [dataset_of("ben") for _ in range(2)]
    assert order() == [job.pk for job in (ada[0], ben[0], ada[1], ben[1], ada[2])]


def test_of_owners_who_never_had_a_job_started_the_one_who_waits_longest_is_first(dataset_of):
    datasets = [dataset_of(f"owner {number * 7 % 20}") for number in range(20)]
    assert order() == [dataset.pk for dataset in datasets]


def test_the_owner_whose_last_job_started_longest_ago_is_next(dataset_of):
    ada = [dataset_of("ada") for _ in range(3)]
    ben = [dataset_of("ben") for _ in range(2)]
    turns = []
    while found := Dataset.ready().first():
        turns.append(found.pk)
        run_to_end(found)
    assert turns == [job.pk for job in (ada[0], ben[0], ada[1], ben[1], ada[2])]


def test_running_jobs_count_as_turns_that_were_taken(dataset_of):
    lifecycle.advance(dataset_of("ada"), Status.RUNNING)
    ada = [dataset_of("ada") for _ in range(2)]
    ben = [dataset_of("ben") for _ in range(2)]
    assert order() == [job.pk for job in (*ben, *ada)]  # ada's jobs are her second and third


def test_priority_overrides_turns_of_owners(dataset_of):
    ada = [dataset_of("ada", priority=1) for _ in range(2)]
    ben = dataset_of("ben")
    assert order() == [ada[0].pk, ada[1].pk, ben.pk]


def test_jobs_without_an_owner_take_turns_as_one_owner(dataset_of):
    nobody = [dataset_of("") for _ in range(2)]
    ada = dataset_of("ada")
    assert order() == [nobody[0].pk, ada.pk, nobody[1].pk]


def test_the_queue_in_the_admin_has_the_order_of_dispatch(dataset_of):
    for owner in ("ada", "ada", "ben"):
        dataset_of(owner)
    assert [job.pk for job in Dataset.queued()] == order()


def test_models_of_several_owners_alternate(built_dataset, make_model, cpu, register_worker):
    register_worker(train_queue(cpu))
    ada = [make_model(built_dataset) for _ in range(2)]
    ben = make_model(built_dataset)
    TrainedModel.objects.filter(pk=ben.pk).update(owner="ben")
    run_to_end(ada[0])
    dispatch()
    assert queued(train_queue(cpu)) == [ben.pk]


@pytest.fixture
def running_build(dataset_of, register_worker):
    """A dataset of ada's that the only io worker builds; a spare io worker is idle."""
    register_worker("io")
    register_worker("io-spare")
    running = dataset_of("ada")
    lifecycle.advance(running, Status.RUNNING)
    queues.queue("io").empty()
    return running


def test_a_user_who_waits_for_the_build_of_another_gets_the_spare_worker(running_build, dataset_of):
    dataset_of("ada")
    ben = [dataset_of("ben") for _ in range(2)]
    dispatch()
    assert queued("io-spare") == [ben[0].pk]


def test_a_user_whose_build_runs_gets_no_spare_worker(running_build, dataset_of):
    dataset_of("ada")
    dispatch()
    assert queued("io-spare") == []


def test_a_job_without_an_owner_gets_the_spare_worker(running_build, dataset_of):
    Dataset.objects.update(owner="")
    unnamed = dataset_of("")
    dispatch()
    assert queued("io-spare") == [unnamed.pk]


def test_the_spare_worker_gets_no_job_while_an_io_worker_is_idle(dataset_of, register_worker):
    register_worker("io")
    register_worker("io-spare")
    dataset_of("ben")
    dispatch()
    assert queued("io-spare") == []


def test_a_job_in_both_queues_is_built_once(running_build, dataset_of, settings):
    ben = dataset_of("ben")
    dispatch()
    assert (queued("io"), queued("io-spare")) == ([ben.pk], [ben.pk])
    for _ in range(2):
        build_dataset(ben.pk)
    ben.refresh_from_db()
    assert [change[0] for change in ben.status_history] == ["Waiting", "Running", "Done"]
