"""backup and restore, as an operator runs them: while a training runs, and into an empty home."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
from django.core.management import CommandError, call_command

from digits_project.jobs.backup import backup_writer
from tests.support.console import run_on_terminal
from tests.support.samples.row_samples import add_snapshot
from tests.support.server import ROOT, RunningServer, wait_until
from tests.support.services import temporary_home

EPOCHS = 15
TEXTS = {"labels.txt", "train.txt", "val.txt", "mean.npy", "mean.png", "build.log"}
CLASSIFY = "/models/images/classification/classify_one.json"


def manage(home, *words, **variables):
    """`manage.py` as in a new shell, that knows nothing but its DIGITS_HOME, and these variables."""
    env = {"PATH": os.environ["PATH"], "DIGITS_HOME": str(home), **variables}
    return subprocess.run([sys.executable, "manage.py", *words], env=env, cwd=ROOT, capture_output=True, text=True)


def trainer(run):
    """The process that trains."""
    processes = psutil.Process(run.process.pid).children(recursive=True)
    return next(process for process in processes if "models_app.training" in process.cmdline())


def listed(index):
    return [(kind, job["id"], job["name"]) for kind in ("datasets", "models") for job in index[kind]]


@pytest.fixture(scope="module")
def saved(digits_folder):
    """What a stack answered that was backed up while it trained."""
    with temporary_home() as home, RunningServer(home, 0) as run:
        image = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
        dataset = run.create_job(
            "/datasets/images/classification.json", dataset_name="d", folder_train=str(digits_folder), **image
        )
        common = {"dataset": dataset, "standard_networks": "lenet", "batch_size": 64, "random_seed": 1}
        done = run.create_job("/models/images/classification.json", model_name="done", train_epochs=1, **common)
        training = run.create_job(
            "/models/images/classification.json", model_name="runs", train_epochs=EPOCHS, **common
        )
        wait_until(lambda: run.json(f"/models/{training}.json")["snapshots"], 90)
        held = trainer(run)
        held.suspend()  # however slow this machine is, it is not done before the backup is
        answer = {"job_id": done, "image_path": str(digits_folder / "3" / "0.png")}
        seen = {"home": home, "tar": home / "digits.tar", "training": training, "asked": answer}
        seen["backup"] = manage(home, "backup", str(seen["tar"]), "--json")
        assert run.job_status(training) == "Running"
        held.resume()
        run.send("POST", f"/models/{training}/abort.json")  # what comes now is not in the backup
        yield seen | {"index": listed(run.json("/index.json")), "answer": run.send("POST", CLASSIFY, **answer)}


@pytest.fixture(scope="module")
def moved(saved):
    """What a stack answers in an empty home that the backup was restored into."""
    with temporary_home() as home:
        seen = {"home": home, "restore": manage(home, "restore", str(saved["tar"]))}
        with RunningServer(home, 0) as run:
            seen |= {"index": listed(run.json("/index.json")), "answer": run.send("POST", CLASSIFY, **saved["asked"])}
            wait_until(lambda: run.job_status(saved["training"]) in ("Done", "Error"), 90)
            yield seen | {"trained": run.json(f"/models/{saved['training']}.json")}


def test_a_backup_is_made_while_a_training_runs(saved):
    assert saved["backup"].returncode == 0, saved["backup"].stderr
    said = json.loads(saved["backup"].stdout)
    assert (said["file"], said["jobs"] >= 3, said["missing"]) == (str(saved["tar"]), True, [])


def test_the_backup_is_for_its_owner_only_and_nothing_is_left_beside_it(saved):
    assert oct(saved["tar"].stat().st_mode & 0o777) == "0o600"
    assert [path.name for path in saved["home"].iterdir() if "tar" in path.name or "backup" in path.name] == [
        "digits.tar"
    ]


def test_every_job_is_there_again_and_answers_the_same(saved, moved):
    assert moved["restore"].returncode == 0, moved["restore"].stderr
    jobs = json.loads(saved["backup"].stdout)["jobs"]  # an evaluation may have begun
    assert moved["restore"].stdout.startswith(f"{jobs} jobs of ")
    assert (moved["index"], moved["answer"]) == (saved["index"], saved["answer"])
    assert moved["answer"][0] == 200
    assert [path.name for path in (moved["home"] / "jobs").iterdir() if path.name.startswith(".")] == []


def test_what_trained_goes_on_from_its_newest_snapshot_to_the_end(saved, moved):
    assert (moved["trained"]["status"], moved["trained"]["snapshots"]) == ("Done", [*range(1, EPOCHS + 1)])
    first = f"jobs/{saved['training']}/snapshots/epoch-1/model.onnx"
    times = {int((seen["home"] / first).stat().st_mtime) for seen in (saved, moved)}
    assert len(times) == 1  # it was not made again


@pytest.fixture
def plain_database():
    """The URL of an empty database on a server that nobody here embeds."""
    url = os.environ["DATABASE_URL"]
    own = psycopg2.connect(url)
    own.autocommit = True
    with contextlib.closing(own), own.cursor() as cursor:
        name = f"restored_{os.getpid()}"
        cursor.execute(f"CREATE DATABASE {name}")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_backup_goes_into_a_database_of_ones_own_too(saved, home, plain_database):
    restored = manage(home, "restore", str(saved["tar"]), DATABASE_URL=plain_database)
    assert restored.returncode == 0, restored.stderr
    there = json.loads(manage(home, "jobs", "--limit", "0", "--json", DATABASE_URL=plain_database).stdout)
    assert {(job["id"], job["status"]) for job in there} >= {
        (saved["training"], "Waiting"),
        (saved["asked"]["job_id"], "Done"),
    }
    assert (home / "jobs" / saved["training"] / "snapshots" / "epoch-1" / "model.onnx").exists()
    assert not (home / "embedded").exists()
    again = manage(home, "restore", str(saved["tar"]), DATABASE_URL=plain_database)
    assert (again.returncode, "There are jobs here" in again.stderr) == (1, True)


@pytest.fixture
def model(transactional_db, built_dataset, make_model):
    """A model with a snapshot, whose dataset has records, decoded pixels and files that are half written."""
    model = make_model(built_dataset)
    add_snapshot(model, epoch=1, seed=0)
    for name in ("train.pixels", ".train.pixels.part", "test.rec.part", "archive"):
        (model.dataset.directory / name).write_bytes(b"x" * 100)
    (model.directory / "snapshots" / ".partial-epoch-2").mkdir()
    return model


def names(tar):
    with tarfile.open(tar) as opened:
        return set(opened.getnames())


def kept_of(job, tar):
    return {name.rpartition("/")[2] for name in names(tar) if name.startswith(f"jobs/{job.pk}/")}


def test_what_is_half_written_or_can_be_made_again_is_left_out(model, tmp_path):
    backup_writer.make(tmp_path / "b.tar")
    records = {"train.rec", "train.idx", "val.rec", "val.idx"}
    assert kept_of(model.dataset, tmp_path / "b.tar") == {"archive", *records, *TEXTS}
    assert f"jobs/{model.pk}/snapshots/.partial-epoch-2" not in names(tmp_path / "b.tar")


def test_without_records_the_images_of_finished_datasets_are_left_out(model, tmp_path):
    backup_writer.make(tmp_path / "b.tar", records=False)
    assert kept_of(model.dataset, tmp_path / "b.tar") == TEXTS
    assert f"jobs/{model.pk}/snapshots/epoch-1/model.onnx" in names(tmp_path / "b.tar")


def test_a_job_without_its_folder_is_told_and_the_others_are_kept(model, tmp_path):
    model.dataset.directory.rename(tmp_path / "gone")
    summary = backup_writer.make(tmp_path / "b.tar")
    assert (summary.missing, summary.jobs) == ([f"jobs/{model.dataset_id}"], 2)
    assert f"jobs/{model.pk}/snapshots/epoch-1/model.onnx" in names(tmp_path / "b.tar")


def test_a_file_that_grows_or_is_cut_off_while_it_is_read_spoils_nothing(tmp_path):
    (tmp_path / "log").write_bytes(b"0123456789")
    handle = os.open(tmp_path / "log", os.O_RDONLY)
    long, short = (
        backup_writer._Exactly(handle, 4, lambda read: None),
        backup_writer._Exactly(handle, 8, lambda read: None),
    )
    assert [long.read(3), long.read(3), short.read(8)] == [b"012", b"3", b"456789\0\0"]
    os.close(handle)


def test_a_backup_that_is_there_is_not_replaced(model, tmp_path):
    (tmp_path / "b.tar").write_text("the one of yesterday")
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(tmp_path / "b.tar"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the one of yesterday"]


def test_a_terminal_gets_a_bar(model, tmp_path):
    status, answer, shown = run_on_terminal("backup", tmp_path / "b.tar")
    assert (status, "2 jobs" in answer) == (0, True), shown
    assert re.search(r"━+\x1b\[0m \d+ of \d+ MB", shown), repr(shown)


def test_without_room_or_a_folder_no_backup_is_begun(model, tmp_path):
    with pytest.raises(CommandError, match=r"No backup was made: .*nowhere"):
        call_command("backup", str(tmp_path / "nowhere" / "b.tar"))


def test_a_home_where_no_server_has_run_has_nothing_to_back_up(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("DATABASE_URL")
    settings.DIGITS_HOME = tmp_path
    with pytest.raises(CommandError, match="no server has run on"):
        call_command("backup", str(tmp_path / "b.tar"))
    assert list(tmp_path.iterdir()) == []
