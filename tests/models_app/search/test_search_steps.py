"""What a search does whenever it advances: it creates trials, resumes them, and ends."""

import numpy as np
import pytest
from django.contrib.auth.models import Group

from datasets.models import Dataset
from digits_project.common.errors import HasDependents
from digits_project.jobs import lifecycle, quota, services
from digits_project.jobs.models import Status
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.models import TrainedModel
from models_app.networks import standard
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.search import sampling
from models_app.search.sampling import next_values
from models_app.search.search_job import Search

pytestmark = pytest.mark.django_db


def numbers(search):
    return list(search.trials.order_by("trial").values_list("trial", flat=True))


def test_a_range_creates_a_search_and_no_model_yet(post_search):
    search = post_search(batch_size="8..64")
    assert (search.status, search.search_trials, search.next_trial) == (Status.WAITING, 20, 1)
    assert TrainedModel.objects.count() == 0
    assert list(Search.ready()) == [search]


def test_a_search_creates_as_many_trials_as_there_are_devices(post_search, devices, advance):
    devices(3)
    search = advance(post_search(search_trials=4))
    assert numbers(search) == [1, 2, 3]
    assert (search.status, search.waits_for()) == (Status.WAITING, "3 trials")
    assert not Search.ready().exists()


def test_trials_have_values_within_the_ranges_and_the_other_fields_of_the_form(post_search, devices, advance):
    devices(8)
    search = advance(post_search(batch_size="8..64", momentum="0.5..0.99", search_trials=8, weight_decay=0.001))
    trials = list(search.trials.order_by("trial"))
    assert all(0.0001 <= trial.learning_rate <= 0.1 for trial in trials)
    assert all(8 <= trial.batch_size <= 64 and 0.5 <= trial.momentum <= 0.99 for trial in trials)
    assert len({trial.learning_rate for trial in trials}) == 8
    assert {(trial.weight_decay, trial.train_epochs, trial.random_seed) for trial in trials} == {(0.001, 2, 7)}
    assert trials[0].name == "hunt #1"


def test_the_end_of_a_trial_makes_room_for_the_next(post_search, devices, advance, end_trial, trial_of):
    devices(1)
    search = advance(post_search(search_trials=2))
    end_trial(trial_of(search, 1), 0.5)
    assert list(Search.ready()) == [search]
    search = advance(search)
    assert (numbers(search), search.progress) == ([1, 2], 0.5)
    end_trial(trial_of(search, 2), 0.7)
    assert advance(search).status == Status.DONE


def test_a_search_does_not_depend_on_the_process_that_began_it(post_search, devices, advance, end_trial, trial_of):
    def values(search):
        devices(1)
        for number in range(1, 7):
            end_trial(trial_of(advance(search), number), 0.1 * number)
        return [trial.learning_rate for trial in search.trials.order_by("trial")]

    assert values(post_search(search_trials=6)) == values(post_search(search_trials=6))


def test_aborting_a_search_aborts_its_trials(post_search, devices, advance, trial_of):
    devices(2)
    search = advance(post_search())
    lifecycle.advance(trial_of(search, 1), Status.RUNNING)
    services.abort(search)
    assert (search.status, trial_of(search, 2).status) == (Status.ABORTED, Status.ABORTED)
    assert trial_of(search, 1).abort_requested_at


def test_a_resumed_search_resumes_the_trials_that_had_not_finished(post_search, devices, advance, end_trial, trial_of):
    devices(2)
    search = advance(post_search(search_trials=3))
    end_trial(trial_of(search, 1), 0.5)
    services.abort(search)
    services.resume(search)
    search = advance(search)
    assert [trial.status for trial in search.trials.order_by("trial")] == [Status.DONE, Status.WAITING, Status.WAITING]
    assert numbers(search) == [1, 2, 3]


def test_a_search_ends_if_its_first_trials_all_fail(post_search, devices, advance, end_trial, trial_of):
    devices(1)
    search = post_search()
    for number in (1, 2, 3):
        end_trial(trial_of(advance(search), number), status=Status.ERROR, error="The loss is not a number.")
    search = advance(search)
    assert search.status == Status.ERROR
    assert search.error == "Its first 3 trials failed. The last one, hunt #3: The loss is not a number."


def test_no_trial_starts_after_search_minutes(post_search, devices, advance, end_trial, trial_of):
    devices(2)
    search = advance(post_search(search_minutes=0.000001))
    assert numbers(search) == []
    assert search.error == (
        "It has no trials: its search_minutes (1e-06) were over before one could start. Create it anew with more."
    )


def test_a_search_of_minutes_has_any_number_of_trials(post_search, devices, advance):
    devices(3)
    search = advance(post_search(search_minutes=60))
    assert (search.search_trials, len(numbers(search)), search.goes_on) == (None, 3, True)


def test_deleting_a_search_keeps_its_models(post_search, devices, advance, end_trial, trial_of):
    devices(1)
    search = advance(post_search(search_trials=1))
    end_trial(trial_of(search, 1), 0.5)
    services.delete(search)
    assert not Search.objects.exists()
    assert TrainedModel.objects.get().search is None


def test_a_dataset_with_a_search_is_not_deleted(post_search):
    search = post_search()
    with pytest.raises(HasDependents, match="1 job"):
        services.delete(search.dataset)


def test_a_trial_keeps_only_its_best_snapshot(post_search, devices, advance, end_trial, trial_of):
    devices(1)
    search = advance(post_search(search_trials=2))
    end_trial(trial_of(search, 1), 0.5, 0.9, 0.6)
    advance(search)
    assert list(trial_of(search, 1).snapshots.values_list("epoch", flat=True)) == [2]


def test_a_search_creates_no_trial_beyond_its_owners_disk_space_and_goes_on_after_a_resume(
    post_search, devices, advance, settings
):
    devices(1)
    search = post_search(username="ada")
    settings.DIGITS_AUTH, settings.DIGITS_MAX_OWNER_DISK = "required", 20
    full = search.dataset.directory / "full"
    full.write_bytes(bytes(21 << 20))
    quota.forget(Dataset.objects.all())
    Dataset.objects.update(owner="ada")
    search = advance(search)
    assert (search.status, numbers(search)) == (Status.ERROR, [])
    assert "at most 20 MiB are allowed (DIGITS_MAX_OWNER_DISK)" in search.error
    full.unlink()
    quota.forget(Dataset.objects.all())
    services.resume(search)
    assert numbers(advance(search)) == [1]


def test_trials_do_not_count_as_waiting_jobs_of_the_owner(post_search, devices, advance, settings):
    devices(3)
    search = post_search(username="ada")
    settings.DIGITS_AUTH, settings.DIGITS_MOST_WAITING = "required", 1
    assert numbers(advance(search)) == [1, 2, 3]


def test_the_model_of_a_trial_can_be_deleted_while_the_search_goes_on(
    post_search, devices, advance, end_trial, trial_of
):
    devices(1)
    search = advance(post_search(search_trials=2))
    services.delete(end_trial(trial_of(search, 1), 0.5))
    search = advance(search)
    end_trial(trial_of(search, 2), 0.7)
    assert (advance(search).status, numbers(search)) == (Status.DONE, [2])


def test_a_search_fails_with_its_dataset(post_search, built_dataset):
    search = post_search()
    Dataset.objects.update(status=Status.ERROR)
    dispatch()
    search.refresh_from_db()
    assert (search.status, search.error) == (Status.ERROR, f"Its dataset digits ({built_dataset.pk}) failed.")


def test_the_previous_model_of_a_search_is_not_deleted_and_one_that_is_gone_is_named(
    client, post_search, make_model, devices, advance
):
    devices(1)
    previous = make_model(Dataset.objects.get())
    search = post_search(method="previous", previous_networks=previous.pk)
    with pytest.raises(HasDependents, match="hunt"):
        services.delete(previous)
    TrainedModel.objects.filter(pk=previous.pk).delete()
    assert f"Its model {previous.pk} was deleted, so no further trial can start." in advance(search).error


def test_a_pretrained_model_is_not_deleted_while_a_search_will_create_models_from_it(post_search):
    row = PretrainedModel(name="mine", standard_network="lenet", categories=10)
    row.network = standard("lenet", (1, 28, 28), 10).to_dict()
    services.take_in(row, lambda job: np.savez(job.weights_file))
    fields = {"method": "pretrained", "pretrained_networks": row.pk, "standard_networks": "", "use_mean": "none"}
    search = post_search(**fields, search_trials=3)
    with pytest.raises(HasDependents, match=r"1 job\(s\) depend on mine: hunt"):
        services.delete(row)
    Search.objects.update(next_trial=4)
    assert row.dependents() == []
    Search.objects.update(next_trial=3)
    services.abort(search)
    services.delete(row)
    assert not PretrainedModel.objects.exists()


def test_an_abort_that_comes_while_trials_are_created_leaves_none_behind(post_search, devices, advance, monkeypatch):
    devices(2)
    search = post_search()
    seen = []

    def abort_at_the_second(space, trials, seed, number):
        seen.append(number)
        if number == 2:
            services.abort(Search.objects.get(pk=search.pk))
        return next_values(space, trials, seed, number)

    monkeypatch.setattr(sampling, "next_values", abort_at_the_second)
    search = advance(search)
    assert (search.status, seen) == (Status.ABORTED, [1, 2])
    assert [trial.status for trial in search.trials.all()] == [Status.ABORTED]


def test_values_that_no_model_can_have_together_are_left_out(post_search, devices, advance, settings):
    devices(12)
    ranges = {"snapshot_interval": "0.5..2", "train_epochs": "2..8", "keep_snapshots": 0}
    search = post_search(username="ada", search_trials=12, **ranges)
    settings.DIGITS_AUTH, settings.DIGITS_MAX_SNAPSHOTS = "required", 7
    search = advance(search)
    planned = [trial.planned_snapshots for trial in search.trials.all()]
    assert (search.status, search.next_trial) == (Status.WAITING, 13)
    assert 0 < len(planned) < 12
    assert max(planned) <= 7


def test_trials_have_the_priority_and_the_groups_of_their_search(post_search, devices, advance):
    devices(1)
    search = post_search()
    services.set_priority(search, 5)
    services.share(search, Group.objects.filter(name="user"))
    trial = advance(search).trials.get()
    assert (trial.priority, [group.name for group in trial.shared_with.all()]) == (5, ["user"])
