"""The operator's commands: prune, devices, doctor and evaluate."""

import json
import re
import subprocess

import pytest
from django.core.management import CommandError, call_command

from datasets.models import Dataset
from digits_project.jobs.models import Device, Status
from digits_project.monitoring import doctor
from models_app.models import TrainedModel
from models_app.pruning import Rule, kept_reasons
from models_app.results import Metric, Snapshot
from tests.support.console import start_command
from tests.support.samples.row_samples import add_snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(make_dataset, make_model):
    """A finished model with ten snapshots: epoch 4 is the best, epoch 2 is marked to keep."""
    model = make_model(make_dataset())
    for epoch in range(1, 11):
        snapshot = Snapshot.objects.create(
            trained_model=model, epoch=epoch, folder=f"snapshots/{epoch}", keep=epoch == 2
        )
        snapshot.directory.mkdir(parents=True)
        (snapshot.directory / "model.onnx").write_bytes(bytes(1000))
        measures = {"loss": 1, "accuracy": 1 - abs(epoch - 4) / 10, "learning_rate": 0.1}
        Metric.objects.create(trained_model=model, split="val", epoch=epoch, iteration=epoch, **measures)
    TrainedModel.objects.update(status=Status.DONE)
    return TrainedModel.objects.get()


def epochs(model):
    return [snapshot.epoch for snapshot in model.snapshots.order_by("epoch")]


@pytest.mark.parametrize(
    "rule, kept",
    [
        (Rule(), {2, 4, 10}),
        (Rule(best=3, newest=2), {2, 3, 4, 5, 9, 10}),
        (Rule(best=0, newest=0, every=3), {2, 3, 6, 9}),
        (Rule(best=0, newest=0), {2}),
    ],
)
def test_a_rule_keeps_the_best_newest_regular_and_marked_snapshots(model, rule, kept):
    numbers = {snapshot.pk: snapshot.epoch for snapshot in model.snapshots.all()}
    assert {numbers[pk] for pk in kept_reasons(model, rule)} == kept


def test_a_running_model_keeps_its_newest_snapshot(model):
    model.status = Status.ABORTED
    TrainedModel.objects.update(status=Status.RUNNING)
    reasons = kept_reasons(TrainedModel.objects.get(), Rule(best=0, newest=0))
    assert sorted(reasons.values()) == ["kept", "newest"]


def test_prune_lists_the_snapshots_before_it_deletes_them(model, capsys):
    call_command("prune", model.pk, "--json")
    result = json.loads(capsys.readouterr().out)
    assert ([snapshot["epoch"] for snapshot in result["snapshots"]], result["bytes"]) == ([1, 3, 5, 6, 7, 8, 9], 7000)
    assert len(epochs(model)) == 10
    call_command("prune", model.pk, "--yes")
    assert epochs(model) == [2, 4, 10]
    assert sorted(int(path.name) for path in (model.directory / "snapshots").iterdir()) == [2, 4, 10]
    assert "7 snapshots" in capsys.readouterr().out


def test_prune_removes_the_optimizer_state_of_the_snapshots_that_stay_but_the_newest(model, capsys):
    for snapshot in model.snapshots.all():
        (snapshot.directory / "optimizer.npz").write_bytes(bytes(500))
    call_command("prune", model.pk, "--json")
    assert json.loads(capsys.readouterr().out)["optimizer_states"] == {"count": 2, "bytes": 1000}
    assert len(list(model.directory.glob("snapshots/*/optimizer.npz"))) == 10
    call_command("prune", model.pk, "--yes")
    assert [path.parent.name for path in model.directory.glob("snapshots/*/optimizer.npz")] == ["10"]
    assert "the optimizer's state of 2 more" in capsys.readouterr().out


def test_prune_keeps_a_snapshot_from_which_another_model_will_start(model, make_model, capsys):
    successor = make_model(model.dataset, name="next")
    TrainedModel.objects.filter(pk=successor.pk).update(previous=model, previous_epoch=7)
    with pytest.raises(SystemExit) as end:
        call_command("prune", model.pk, "--yes")
    assert (end.value.code, epochs(model)) == (1, [2, 4, 7, 10])
    assert "next" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--all", "20260101-000000-0000"], ["--all", "--best", "-1"]])
def test_prune_refuses_missing_and_contradictory_arguments(arguments):
    with pytest.raises(CommandError) as error:
        call_command("prune", *arguments)
    assert error.value.returncode == 2


def test_the_devices_command_lists_and_switches_devices(cpu, built_dataset, capsys):
    Device.objects.update(leased_to=built_dataset.pk)
    call_command("devices", "off", "cpu", "--json")
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["on"], result["held_by"]["name"]) == (False, "digits")
    assert not Device.objects.get().enabled
    call_command("devices", "on", f"{cpu.host}/cpu")
    assert f"held by digits ({built_dataset.pk}, Done)" in capsys.readouterr().out or not Device.objects.get().leased_to
    assert Device.objects.get().enabled


def test_the_devices_command_refuses_an_unknown_device(cpu):
    with pytest.raises(CommandError, match=rf"There is no device gpu7; there are: {cpu.host}/cpu"):
        call_command("devices", "off", "gpu7")


@pytest.fixture
def findings(capsys):
    """A function that runs doctor and returns ({name: finding}, exit status)."""

    def findings():
        with pytest.raises(SystemExit) as end:
            call_command("doctor", "--json")
        found = json.loads(capsys.readouterr().out)
        return {finding["name"]: finding for finding in found}, end.value.code

    return findings


def test_doctor_reports_missing_workers_and_how_to_start_them(findings, register_worker, monkeypatch):
    monkeypatch.setattr(doctor, "EXAMINATIONS", (doctor._database, doctor._redis))
    register_worker("io")
    found, status = findings()
    assert status == 1
    assert [found[name]["state"] for name in ("database", "migrations")] == ["ok"] * 2
    assert re.match(r"(Valkey|Redis) \d", found["redis"]["text"])  # the old one of Python 3.10 is only a warning
    assert (found["workers"]["state"], found["workers"]["text"]) == ("wrong", "none is alive that trains")
    assert "manage.py worker train" in found["workers"]["mend"]


def test_doctor_reports_a_missing_reaper(findings, run_reaper_once, monkeypatch):
    monkeypatch.setattr(doctor, "EXAMINATIONS", (doctor._redis,))
    found, _ = findings()
    assert (found["reaper"]["state"], "manage.py reaper" in found["reaper"]["mend"]) == ("wrong", True)
    run_reaper_once()
    found, _ = findings()
    assert found["reaper"]["state"] == "ok"


@pytest.mark.slow
def test_doctor_runs_without_database_and_redis(tmp_path):
    variables = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    process = start_command("doctor", stdout=subprocess.PIPE, text=True, variables=variables)
    output = process.communicate()[0]
    assert process.returncode == 1
    assert "WRONG  database" in output
    assert "WRONG  redis" in output
    assert output.count("to fix:") >= 2
    assert "ok     engine" in output


def test_doctor_reports_a_full_disk_and_missing_folders(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "TOO_LITTLE", 1 << 60)
    settings.DIGITS_DATA_ROOTS = [tmp_path / "none"]
    found = [*doctor._disk(), *doctor._folders()]
    states = {finding.name: (finding.state, finding.mend) for finding in found}
    assert states["disk"][0] == "wrong"
    assert "manage.py prune" in states["disk"][1]
    assert states["data"] == ("warning", f"mkdir -p {tmp_path / 'none'}")


@pytest.mark.parametrize(
    "number, state, mend",
    [("1", "ok", ""), ("16", "warning", "unset DIGITS_WEB_PROCESSES"), ("none", "wrong", "unset DIGITS_WEB_PROCESSES")],
)
def test_doctor_judges_the_number_of_web_processes(monkeypatch, number, state, mend):
    monkeypatch.setenv("DIGITS_WEB_PROCESSES", number)
    [finding] = [finding for finding in doctor.examine() if finding.name == "web"]
    assert finding.state == state
    assert finding.mend.startswith(mend)


def test_doctor_reports_an_examination_that_raises_and_runs_the_others(monkeypatch):
    def broken():
        raise OSError("no such device")
        yield

    monkeypatch.setattr(doctor, "EXAMINATIONS", (broken, doctor._disk))
    first, second = doctor.examine()
    assert (first.state, first.text) == ("wrong", "OSError: no such device")
    assert second.name == "disk"


@pytest.mark.django_db(transaction=True)
def test_evaluate_here_runs_an_evaluation_without_workers(built_dataset, make_model):
    model = make_model(built_dataset)
    add_snapshot(model, 1, seed=1)
    command = ("evaluate", model.pk, "--here", "--json")
    process = start_command(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    result = json.loads(process.communicate()[0])
    assert (process.returncode, result["status"], result["images"]) == (0, "Done", Dataset.objects.get().entries("val"))
    assert result["accuracy"] == pytest.approx(model.evaluations.get().accuracy)


@pytest.mark.trainer
@pytest.mark.django_db(transaction=True)
def test_train_model_here_also_runs_the_evaluation(built_dataset, cpu):
    command = ("train_model", "lenet", "--dataset", built_dataset.pk, "--standard-networks", "lenet")
    process = start_command(
        *command, "--train-epochs", 1, "--here", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    output, log = process.communicate()
    model = TrainedModel.objects.get()
    assert (process.returncode, output, model.evaluations.get().status) == (0, f"{model.pk}\n", Status.DONE), log
    assert f"lenet, val at epoch 1 ({model.evaluations.get().pk}) is Done" in log


def test_evaluate_refuses_a_split_without_images(make_dataset, make_model, register_worker):
    register_worker("io")
    with pytest.raises(CommandError, match="has no images for test") as error:
        call_command("evaluate", make_model(make_dataset()).pk, "--split", "test")
    assert error.value.returncode == 2
