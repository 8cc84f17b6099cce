"""A running training is stopped early: it is Done with its best snapshot, also if its process is killed meanwhile."""

import os
import signal

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from digits_project.common.errors import Refused
from digits_project.jobs import lifecycle, services
from digits_project.jobs.models import Status
from models_app import trainer_process
from models_app.models import TrainedModel
from models_app.results import Evaluation
from models_app.services import stop_early
from models_app.training.early_stopping import STOP_FILE
from tests.support.api_requests import make_account

pytestmark = pytest.mark.django_db
ENDLESS = {"train_epochs": 10_000, "snapshot_interval": 20, "keep_snapshots": 0}


@pytest.fixture
def on_event(monkeypatch):
    """A function that has `act(model, pid)` called when the next trainer reports this event, until it returns true."""

    def on_event(name, act):
        listen = trainer_process._listen

        def watched(process, *others):
            monkeypatch.setattr(trainer_process, "_listen", listen)
            has_acted = False
            for event in listen(process, *others):
                yield event
                if not has_acted and event and event["event"] == name:
                    has_acted = act(TrainedModel.objects.get(), process.pid)

        monkeypatch.setattr(trainer_process, "_listen", watched)

    return on_event


def test_a_training_that_is_stopped_over_rest_is_done_with_its_best_snapshot(
    built_dataset, make_model, run_training_task, on_event, client, open_server
):
    """Meanwhile it shows what it takes of its host."""
    seen = {}

    def look_and_stop(model, pid):
        seen["facts"] = client.get(f"/api/v1/models/{model.pk}").json()
        seen["page"] = client.get(f"/pages/models/{model.pk}/live").content.decode()
        if model.device_use:
            seen["answer"] = client.post(f"/api/v1/models/{model.pk}/stop")
        return bool(model.device_use)

    on_event("progress", look_and_stop)
    model = run_training_task(make_model(built_dataset, **ENDLESS))
    use = seen["facts"]["device_use"]
    assert (use["images_per_second"] > 0, use["cores"] > 0, use["memory"] > 50 << 20, use["devices"]) == (
        *[True] * 3,
        [],
    )
    assert "Load of the processor" in seen["page"]
    assert (seen["answer"].status_code, seen["answer"].json()["status"]) == (200, "Running")
    assert (model.status, model.progress, model.error) == (Status.DONE, 1, "")
    assert model.newest_snapshot.epoch == model.stopped_epoch < 10_000
    assert model.snapshot_at(None) == model.best_snapshot
    assert Evaluation.objects.get().epoch == model.best_snapshot.epoch
    assert not (model.directory / STOP_FILE).exists()
    facts = client.get(f"/api/v1/models/{model.pk}").json()
    assert facts["stop_requested_at"] is not None
    assert facts["device_use"] is None
    page = client.get(f"/models/{model.pk}", headers={"Accept": "text/html"}).content.decode()
    assert "as requested" in page


def test_a_training_whose_process_is_killed_after_the_request_ends_once_it_has_resumed(
    built_dataset, make_model, run_training_task, on_event
):
    def stop_and_kill(model, pid):
        stop_early(model)
        os.kill(pid, signal.SIGKILL)
        return True

    on_event("snapshot", stop_and_kill)
    model = run_training_task(make_model(built_dataset, **ENDLESS))
    assert model.status == Status.WAITING
    assert run_training_task(model).status == Status.DONE
    assert model.stopped_epoch == model.newest_snapshot.epoch


def test_a_user_resumes_an_aborted_training_without_its_request_to_stop(built_dataset, make_model, cpu):
    model = make_model(built_dataset)
    lifecycle.advance(model, Status.RUNNING, worker="one")
    stop_early(model)
    lifecycle.advance(model, Status.ABORTED)
    services.resume(model)
    assert (model.status, model.stop_requested_at) == (Status.WAITING, None)


def test_a_training_that_has_not_started_or_has_ended_can_not_be_stopped_early(built_dataset, make_model):
    model = make_model(built_dataset)
    with pytest.raises(Refused, match="has not started yet; abort it instead"):
        stop_early(model)
    lifecycle.advance(model, Status.RUNNING)
    lifecycle.advance(model, Status.DONE)
    with pytest.raises(Refused, match="there is nothing to stop"):
        stop_early(model)


def test_only_the_owner_and_operators_may_stop_a_training_early(built_dataset, make_model, client, settings):
    settings.DIGITS_AUTH = "required"
    model = make_model(built_dataset)
    lifecycle.advance(model, Status.RUNNING)
    found = []
    for name, role in (("bob", "user"), ("vera", "viewer"), ("ada", "user")):
        client.force_login(make_account(name, role))
        found.append(client.post(f"/api/v1/models/{model.pk}/stop").status_code)
    assert found == [403, 403, 200]


def test_the_command_stops_running_trainings_and_names_the_others(built_dataset, make_model, capsys):
    running, waiting = make_model(built_dataset), make_model(built_dataset)
    lifecycle.advance(running, Status.RUNNING)
    with pytest.raises(CommandError, match="has not started yet"):
        call_command("stop_early", running.pk, waiting.pk, no_wait=True)
    running.refresh_from_db()
    assert running.stop_requested_at is not None


def test_the_admin_stops_chosen_trainings_early(built_dataset, make_model, admin_client):
    model = make_model(built_dataset)
    lifecycle.advance(model, Status.RUNNING)
    sent = {"action": "stop_early", "_selected_action": [model.pk], "priority": "0"}
    page = admin_client.post("/admin/models_app/trainedmodel/", sent, follow=True).content.decode()
    assert "Ends after the current step: lenet." in page
    model.refresh_from_db()
    assert model.stop_requested_at is not None
