"""Commands that create, list, abort and delete jobs: fields and messages of the API, progress, Ctrl-C."""

import json
import shutil
import subprocess
from importlib import import_module

import numpy as np
import pytest
from django.core.management import CommandError, call_command, get_commands
from rest_framework.serializers import FileField

from datasets.api.serializers import ClassificationDatasetForm, GenericDatasetForm
from datasets.models import Dataset
from digits_project.jobs.models import Device, Status
from digits_project.jobs.scheduling.dispatch import lease_here
from models_app.api.serializers import ClassificationModelForm, GenericModelForm
from models_app.models import TrainedModel
from tests.support.console import run_on_terminal, start_command
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.samples.network_samples import CLASSIFIER

SMALL = ("--resize-width", "28", "--resize-height", "28", "--resize-channels", "1")


@pytest.mark.django_db
def test_every_option_of_create_dataset_is_stored_in_the_row(digits_folder, capsys):
    options = {"resize_mode": "fill", "encoding": "jpg", "folder_pct_val": 10, "seed": 7}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    call_command("create_dataset", "digits", "--folder-train", digits_folder, *SMALL, *words, "--no-wait")
    dataset = Dataset.objects.get(pk=capsys.readouterr().out.strip())
    assert {name: getattr(dataset, name) for name in options} == options
    assert (dataset.name, dataset.resize_width, dataset.status) == ("digits", 28, Status.WAITING)


@pytest.mark.django_db
def test_a_relative_path_is_relative_to_the_shells_folder(digits_folder, monkeypatch):
    monkeypatch.chdir(digits_folder.parent)
    call_command("create_dataset", "digits", "--folder-train", digits_folder.name, "--no-wait")
    assert Dataset.objects.get().folder_train == str(digits_folder)


@pytest.mark.django_db
def test_errors_are_the_apis_messages_under_the_names_of_options(digits_folder, capsys):
    with pytest.raises(CommandError) as error:
        call_command("create_dataset", "x", "--folder-train", "/nowhere", "--encoding", "gif", "--json", "--no-wait")
    form = ClassificationDatasetForm(data={"dataset_name": "x", "folder_train": "/nowhere", "encoding": "gif"})
    assert not form.is_valid()
    lines = [f"--{field.replace('_', '-')}: {message[0]}" for field, message in form.errors.items()]
    assert (str(error.value).split("\n"), error.value.returncode) == (lines, 2)
    assert [error["field"] for error in json.loads(capsys.readouterr().out)["errors"]] == ["encoding", "folder_train"]
    assert not Dataset.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_warnings_of_a_build_are_printed_at_its_end(tmp_path):
    folder = write_28_pixel_digits(tmp_path / "images", categories=2, each=6)
    shutil.copy(folder / "0" / "0.png", folder / "1" / "copy.png")
    (folder / "1" / "0.png").rename(folder / "1" / "\x1b[2J.png")
    write_28_pixel_digits(tmp_path / "val", categories=3, each=2)
    own = ("--has-val-folder", "--folder-val", tmp_path / "val")
    status, _, log = run_on_terminal("create_dataset", "digits", "--folder-train", folder, *own, *SMALL, "--here")
    assert status == 0
    assert "Left out of val, because train has no such category: 2." in log
    assert "images are exact copies of one another" in log
    assert "In more than one category: 1 of these pictures, such as" in log
    assert "\x1b[2J" not in log


@pytest.mark.parametrize(
    "name, form, more",
    [
        ("create_dataset", ClassificationDatasetForm, {"textfile_use_local_files", "upload_train"}),
        ("create_dataset", GenericDatasetForm, set()),
        ("train_model", ClassificationModelForm, set()),
        ("train_model", GenericModelForm, set()),
    ],
)
def test_every_field_but_uploads_has_an_option_with_its_help_text(name, form, more):
    fields = {name: field for name, field in form().fields.items() if not isinstance(field, FileField)}
    options = {option.dest: option for option in parser(name)._actions}
    assert set(fields) - set(options) == more
    words = {name: options[name].help for name in fields if name in options}
    assert all(
        str(fields[name].help_text).replace("%", "%%") in text for name, text in words.items() if name != "method"
    )


def parser(name):
    module = import_module(f"{get_commands()[name]}.management.commands.{name}")
    return module.Command().create_parser("manage.py", name)


@pytest.mark.django_db
def test_train_model_creates_a_model_for_each_batch_size(built_dataset, capsys):
    arguments = ("--dataset", built_dataset.pk, "--standard-networks", "lenet", "--batch-size", "8,16")
    call_command("train_model", "lenet", *arguments, "--no-wait", "--owner", "ada", "--json")
    created = json.loads(capsys.readouterr().out)["jobs"]
    assert [model["name"] for model in created] == ["lenet batch_size:8", "lenet batch_size:16"]
    assert TrainedModel.objects.filter(owner="ada", batch_size__in=(8, 16)).count() == 2


@pytest.mark.django_db
def test_train_model_refuses_a_previous_model_without_snapshots(built_dataset, make_model):
    from_first = ("--method", "previous", "--previous-networks", make_model(built_dataset).pk)
    with pytest.raises(CommandError, match=r"^--previous-snapshot: lenet is Waiting and has no snapshot yet\."):
        call_command(
            "train_model", "next", "--dataset", built_dataset.pk, *from_first, "--previous-snapshot", "-1", "--no-wait"
        )


@pytest.mark.django_db
def test_train_model_reads_the_network_from_a_file(built_dataset, tmp_path):
    network = tmp_path / "network.prototxt"
    network.write_text('layer { name: "x" type: "Nonsense" }')
    with pytest.raises(CommandError, match=r"^--custom-network: .*Nonsense"):
        call_command(
            "train_model", "own", "--dataset", built_dataset.pk, "--method", "custom", "--custom-network", network,
            "--no-wait",
        )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_train_model_reads_a_network_in_the_encodings_of_windows_editors(built_dataset, tmp_path, encoding):
    network = tmp_path / "network.prototxt"
    network.write_text(CLASSIFIER, encoding=encoding)
    call_command(
        "train_model", "own", "--dataset", built_dataset.pk, "--method", "custom", "--custom-network", network,
        "--no-wait",
    )  # fmt: skip
    assert TrainedModel.objects.get().custom_network == CLASSIFIER


@pytest.mark.trainer
@pytest.mark.timeout(300)  # a trainer takes long to start on a busy machine
@pytest.mark.django_db(transaction=True)
def test_train_model_warns_of_a_layer_that_starts_with_random_weights(built_dataset, cpu, tmp_path, settings):
    network, weights = tmp_path / "network.prototxt", tmp_path / "weights.npz"
    bias = 'layer { name: "bias" type: "Bias" bottom: "data" top: "data" }'
    network.write_text(bias + CLASSIFIER.replace('name: "hidden"', 'name: "other"'))
    np.savez(weights, **{"bias.bias": np.zeros(1, np.float32), "hidden.weight": np.zeros((10, 784), np.float32)})
    process = start_command(
        "train_model", "own", "--dataset", built_dataset.pk, "--method", "custom", "--custom-network", network,
        "--custom-network-snapshot", weights, "--train-epochs", 1, "--here", stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, variables={"DIGITS_DATA_ROOTS": str(tmp_path)},
    )  # fmt: skip
    log = process.communicate()[1].decode()
    assert process.returncode == 0, log
    assert "warning: Layer other starts with random weights" in log


@pytest.mark.django_db
def test_create_dataset_without_a_worker_creates_nothing_and_says_what_to_do(digits_folder):
    with pytest.raises(CommandError, match=r"No worker is alive.*make run.*worker io.*--here.*--no-wait"):
        call_command("create_dataset", "digits", "--folder-train", digits_folder)
    assert not Dataset.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_progress_bar_goes_to_the_terminal_and_only_the_id_to_standard_output(digits_folder):
    status, output, shown = run_on_terminal(
        "create_dataset", "digits", "--folder-train", digits_folder, *SMALL, "--here"
    )
    dataset = Dataset.objects.get(pk=output.strip())
    assert (status, dataset.status) == (0, Status.DONE)
    assert "\r\033[2K" in shown
    assert "━" in shown
    assert f"digits ({dataset.pk}) is Done" in shown


@pytest.mark.django_db(transaction=True)
def test_a_failed_job_is_reported_without_control_characters(digits_folder, tmp_path):
    broken = tmp_path / "images"
    for category in "ab":
        (broken / category).mkdir(parents=True)
        (broken / category / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    process = start_command(
        "create_dataset", "digits", "--folder-train", broken, "--folder-train-min-per-class", 1, "--here",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = process.communicate()[1]
    assert (process.returncode, Dataset.objects.get().status) == (1, Status.ERROR)
    assert "\033" not in log
    assert Dataset.objects.get().error in log


@pytest.mark.django_db
def test_a_device_leased_to_an_ended_job_can_be_leased(built_dataset, make_model, cpu):
    Device.objects.update(leased_to=built_dataset.pk)
    model = make_model(built_dataset)
    assert [device.label for device in lease_here(model)] == ["cpu"]
    assert Device.objects.get(type="cpu").leased_to == model.pk


@pytest.mark.django_db
def test_the_jobs_command_lists_and_filters_jobs(built_dataset, make_dataset, make_model, capsys):
    make_dataset(name="other")
    make_model(built_dataset)
    call_command("jobs", "--kind", "datasets", "--status", "Waiting", "--json")
    assert [(job["name"], job["status"]) for job in json.loads(capsys.readouterr().out)] == [("other", "Waiting")]
    call_command("jobs", "--name", "LENET")
    head, row = capsys.readouterr().out.strip().split("\n")
    assert head.split() == ["id", "kind", "status", "progress", "owner", "created", "name"]
    assert row.split()[1:] == ["models", "Waiting", "0", "%", "ada", row.split()[6], "lenet"]
    call_command("jobs", "--owner", "eve", "--json")
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.django_db
def test_delete_job_refuses_a_dataset_with_models_and_names_them(built_dataset, make_model, capsys):
    model = make_model(built_dataset)
    with pytest.raises(CommandError, match=rf"depend on digits: lenet \({model.pk}\)"):
        call_command("delete_job", built_dataset.pk, "--yes")
    assert f"needed by lenet ({model.pk}, Waiting)" in capsys.readouterr().err
    call_command("delete_job", model.pk, built_dataset.pk, "--yes")
    assert not Dataset.objects.exists()
    assert not built_dataset.directory.exists()


@pytest.mark.django_db
def test_delete_job_deletes_nothing_without_a_yes(built_dataset, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("delete_job", built_dataset.pk)
    assert built_dataset.directory.exists()


@pytest.mark.django_db
def test_the_abort_command_refuses_an_ended_job(built_dataset):
    with pytest.raises(CommandError, match=r"has ended \(Done\)") as error:
        call_command("abort", built_dataset.pk)
    assert error.value.returncode == 1


@pytest.mark.django_db
def test_the_abort_command_aborts_the_other_jobs_beside_an_ended_one(built_dataset, make_dataset, capsys):
    waiting_job = make_dataset()
    with pytest.raises(CommandError, match="has ended") as error:
        call_command("abort", built_dataset.pk, waiting_job.pk, "--json")
    statuses = {job["id"]: job["status"] for job in json.loads(capsys.readouterr().out)}
    assert (error.value.returncode, statuses) == (1, {built_dataset.pk: "Done", waiting_job.pk: "Aborted"})


def test_a_negative_limit_exits_with_the_status_of_bad_input():
    with pytest.raises(CommandError, match="--limit must be a whole number from 0") as error:
        call_command("jobs", "--limit", "-1")
    assert error.value.returncode == 2


@pytest.mark.django_db
def test_an_unknown_id_exits_with_the_status_of_bad_input():
    with pytest.raises(CommandError, match="There is no job 42") as error:
        call_command("abort", "42")
    assert error.value.returncode == 2
