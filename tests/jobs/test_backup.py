"""The commands backup and restore: during a training, and into an empty home."""

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

from digits_project.common.job_ids import JOB_ID
from digits_project.jobs.backup import backup_writer
from tests.support.console import run_on_terminal
from tests.support.samples.row_samples import add_snapshot
from tests.support.server import ROOT, RunningServer, wait_until
from tests.support.services import temporary_home

EPOCHS = 15
TEXTS = {"labels.txt", "train.txt", "val.txt", "mean.npy", "mean.png", "build.log", "train.sizes", "val.sizes"}
CLASSIFY = "/models/images/classification/classify_one.json"


def manage(home, *words, **variables):
    """Run `manage.py` with no environment but DIGITS_HOME and `variables`, as in a new shell."""
    env = {"PATH": os.environ["PATH"], "DIGITS_HOME": str(home), **variables}
    return subprocess.run([sys.executable, "manage.py", *words], env=env, cwd=ROOT, capture_output=True, text=True)


def trainer(run):
    """The trainer's process."""
    processes = psutil.Process(run.process.pid).children(recursive=True)
    return next(process for process in processes if "models_app.training" in process.cmdline())


def jobs_in(index):
    return [(kind, job["id"], job["name"]) for kind in ("datasets", "models") for job in index[kind]]


@pytest.fixture(scope="module")
def backed_up(digits_folder):
    """A server that was backed up during a training: the backup, and its responses."""
    with temporary_home() as home, RunningServer(home, 0) as run:
        image = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
        dataset = run.create_job(
            "/datasets/images/classification.json", dataset_name="d", folder_train=str(digits_folder), **image
        )
        common = {"dataset": dataset, "standard_networks": "lenet", "batch_size": 64, "random_seed": 1}
        done = run.create_job("/models/images/classification.json", model_name="done", train_epochs=1, **common)
        training = run.create_job(
            "/models/images/classification.json", model_name="runs", train_epochs=EPOCHS, keep_snapshots=0, **common
        )
        wait_until(lambda: run.json(f"/models/{training}.json")["snapshots"], 90)
        process = trainer(run)
        process.suspend()  # so that the training outlasts the backup on any machine
        request = {"job_id": done, "image_path": str(digits_folder / "3" / "0.png")}
        facts = {"home": home, "tar": home / "digits.tar", "training": training, "request": request}
        facts["backup"] = manage(home, "backup", str(facts["tar"]), "--json")
        assert run.job_status(training) == "Running"
        process.resume()
        run.send("POST", f"/models/{training}/abort.json")  # its later snapshots are not in the backup
        yield facts | {"index": jobs_in(run.json("/index.json")), "response": run.send("POST", CLASSIFY, **request)}


@pytest.fixture(scope="module")
def restored(backed_up):
    """A server on an empty home into which the backup was restored: its responses."""
    with temporary_home() as home:
        facts = {"home": home, "restore": manage(home, "restore", str(backed_up["tar"]))}
        facts["placed"] = {path.name for path in (home / "jobs").iterdir()}  # a running server creates evaluations
        with RunningServer(home, 0) as run:
            facts |= {
                "index": jobs_in(run.json("/index.json")),
                "response": run.send("POST", CLASSIFY, **backed_up["request"]),
            }
            wait_until(lambda: run.job_status(backed_up["training"]) in ("Done", "Error"), 90)
            yield facts | {"trained": run.json(f"/models/{backed_up['training']}.json")}


def test_backup_succeeds_while_a_training_runs(backed_up):
    assert backed_up["backup"].returncode == 0, backed_up["backup"].stderr
    summary = json.loads(backed_up["backup"].stdout)
    assert (summary["file"], summary["jobs"] >= 3, summary["missing"]) == (str(backed_up["tar"]), True, [])


def test_only_its_owner_can_read_the_backup_and_no_temporary_file_remains(backed_up):
    assert oct(backed_up["tar"].stat().st_mode & 0o777) == "0o600"
    assert [path.name for path in backed_up["home"].iterdir() if "tar" in path.name or "backup" in path.name] == [
        "digits.tar"
    ]


def test_restored_jobs_give_the_same_responses(backed_up, restored):
    assert restored["restore"].returncode == 0, restored["restore"].stderr
    jobs = json.loads(backed_up["backup"].stdout)["jobs"]  # an evaluation can have begun meanwhile
    assert restored["restore"].stdout.startswith(f"{jobs} jobs of ")
    assert (restored["index"], restored["response"]) == (backed_up["index"], backed_up["response"])
    assert restored["response"][0] == 200
    assert [name for name in restored["placed"] if not JOB_ID.fullmatch(name)] == []
    assert len(restored["placed"]) == jobs


def test_a_restored_training_resumes_from_its_newest_snapshot(backed_up, restored):
    assert (restored["trained"]["status"], restored["trained"]["snapshots"]) == ("Done", [*range(1, EPOCHS + 1)])
    first = f"jobs/{backed_up['training']}/snapshots/epoch-1/model.onnx"
    times = {int((facts["home"] / first).stat().st_mtime) for facts in (backed_up, restored)}
    assert len(times) == 1  # epoch 1 was not trained again


@pytest.fixture
def plain_database():
    """The URL of an empty database that is not embedded."""
    url = os.environ["DATABASE_URL"]
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        name = f"restored_{os.getpid()}"
        cursor.execute(f"CREATE DATABASE {name}")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_backup_is_restored_into_an_external_database(backed_up, home, plain_database):
    restored = manage(home, "restore", str(backed_up["tar"]), DATABASE_URL=plain_database)
    assert restored.returncode == 0, restored.stderr
    there = json.loads(manage(home, "jobs", "--limit", "0", "--json", DATABASE_URL=plain_database).stdout)
    assert {(job["id"], job["status"]) for job in there} >= {
        (backed_up["training"], "Waiting"),
        (backed_up["request"]["job_id"], "Done"),
    }
    assert (home / "jobs" / backed_up["training"] / "snapshots" / "epoch-1" / "model.onnx").exists()
    assert not (home / "embedded").exists()
    again = manage(home, "restore", str(backed_up["tar"]), DATABASE_URL=plain_database)
    assert (again.returncode, "There are jobs here" in again.stderr) == (1, True)


def test_a_backup_is_restored_into_a_database_that_was_migrated_before(backed_up, home, plain_database):
    manage(home, "migrate", DATABASE_URL=plain_database)
    restored = manage(home, "restore", str(backed_up["tar"]), DATABASE_URL=plain_database)
    assert (restored.returncode, restored.stderr.count("already exists")) == (0, 0)


@pytest.fixture
def model(transactional_db, built_dataset, make_model):
    """A model with a snapshot, whose dataset has records, decoded pixels and partly written files."""
    model = make_model(built_dataset)
    add_snapshot(model, epoch=1, seed=0)
    for name in ("train.pixels", "train-0.features", ".train.pixels.part", "test.rec.part", "archive"):
        (model.dataset.directory / name).write_bytes(b"x" * 100)
    (model.directory / "snapshots" / ".partial-epoch-2").mkdir()
    return model


def names_in(tar):
    with tarfile.open(tar) as archive:
        return set(archive.getnames())


def files_of(job, tar):
    return {name.rpartition("/")[2] for name in names_in(tar) if name.startswith(f"jobs/{job.pk}/")}


def test_a_backup_omits_partial_and_reproducible_files(model, tmp_path):
    backup_writer.make(tmp_path / "b.tar")
    records = {"train.rec", "train.idx", "val.rec", "val.idx"}
    assert files_of(model.dataset, tmp_path / "b.tar") == {"archive", *records, *TEXTS}
    assert f"jobs/{model.pk}/snapshots/.partial-epoch-2" not in names_in(tmp_path / "b.tar")


def test_a_backup_without_records_omits_the_images_of_finished_datasets(model, tmp_path):
    backup_writer.make(tmp_path / "b.tar", records=False)
    assert files_of(model.dataset, tmp_path / "b.tar") == TEXTS
    assert f"jobs/{model.pk}/snapshots/epoch-1/model.onnx" in names_in(tmp_path / "b.tar")


def test_a_backup_reports_a_missing_folder_and_keeps_the_other_jobs(model, tmp_path):
    model.dataset.directory.rename(tmp_path / "gone")
    summary = backup_writer.make(tmp_path / "b.tar")
    assert (summary.missing, summary.jobs) == ([f"jobs/{model.dataset_id}"], 2)
    assert f"jobs/{model.pk}/snapshots/epoch-1/model.onnx" in names_in(tmp_path / "b.tar")


def test_a_file_that_grows_or_shrinks_during_the_backup_keeps_its_announced_size(tmp_path):
    (tmp_path / "log").write_bytes(b"0123456789")
    handle = os.open(tmp_path / "log", os.O_RDONLY)
    long, short = (
        backup_writer._Exactly(handle, 4, lambda read: None),
        backup_writer._Exactly(handle, 8, lambda read: None),
    )
    assert [long.read(3), long.read(3), short.read(8)] == [b"012", b"3", b"456789\0\0"]
    os.close(handle)


def test_an_existing_file_is_not_overwritten_by_a_backup(model, tmp_path):
    (tmp_path / "b.tar").write_text("yesterday's backup")
    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", str(tmp_path / "b.tar"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["yesterday's backup"]


def test_backup_draws_a_progress_bar_on_a_terminal(model, tmp_path):
    status, output, shown = run_on_terminal("backup", tmp_path / "b.tar")
    assert (status, "2 jobs" in output) == (0, True), shown
    assert re.search(r"━+\x1b\[0m \d+ of \d+ MB", shown), repr(shown)


def test_backup_fails_if_the_target_folder_does_not_exist(model, tmp_path):
    with pytest.raises(CommandError, match=r"No backup was made: .*nowhere"):
        call_command("backup", str(tmp_path / "nowhere" / "b.tar"))


def test_backup_fails_on_a_home_where_no_server_has_run(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("DATABASE_URL")
    settings.DIGITS_HOME = tmp_path
    with pytest.raises(CommandError, match="no server has run on"):
        call_command("backup", str(tmp_path / "b.tar"))
    assert list(tmp_path.iterdir()) == []
