"""Searches with real processes: trainings on a whole server that is killed meanwhile, and in a command."""

import json
import os
import signal
import subprocess

import pytest

from models_app.search.search_job import Search
from tests.support.console import start_command
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(300)]


def kill(process):
    os.kill(process.pid, signal.SIGKILL)


def leaderboard(server, search):
    return server.json(f"/searches/{search}.json")["leaderboard"]


def test_a_search_goes_on_after_its_workers_and_the_whole_server_are_killed():
    with temporary_home() as home:
        folder = write_28_pixel_digits(home / "digits")
        with RunningServer(home, 0) as server:
            size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
            images = {"dataset_name": "digits", "folder_train": str(folder)}
            dataset = server.create_job("/datasets/images/classification.json", **images, **size)
            search = server.create_job(
                "/models/images/classification.json",
                **{"model_name": "hunt", "dataset": dataset, "standard_networks": "lenet", "train_epochs": 3},
                **{"learning_rate": "0.001..0.1 log", "batch_size": "8..32", "search_trials": 2},
            )
            kill(server.child("worker", "io"))
            wait_until(lambda: [row for row in leaderboard(server, search) if row["status"] == "Running"], 60)
            kill(server.child("worker", "train"))
            kill(server.process)
            server.process.wait()
        with RunningServer(home, 0) as server:
            wait_until(lambda: server.job_status(search) == "Done", 90)
            trials = leaderboard(server, search)
            assert sorted((row["trial"], row["status"]) for row in trials) == [(1, "Done"), (2, "Done")]
            assert server.json(f"/searches/{search}.json")["search_best"] == trials[0]["model_id"]


@pytest.mark.django_db(transaction=True)
def test_train_model_runs_a_search_without_workers(built_dataset):
    ranges = ["--learning-rate", "0.001..0.1 log", "--search-trials", "2"]
    network = ["--dataset", built_dataset.pk, "--standard-networks", "lenet", "--train-epochs", "1"]
    command = start_command("train_model", "hunt", "--here", "--json", *network, *ranges, stdout=subprocess.PIPE)
    printed = json.loads(command.communicate(timeout=120)[0])
    assert (command.returncode, printed["status"]) == (0, "Done")
    assert [row["rank"] for row in printed["leaderboard"]] == [1, 2]
    assert Search.objects.get().pk == printed["id"]


@pytest.mark.django_db(transaction=True)
def test_train_model_runs_a_k_fold_without_workers(built_dataset):
    network = ["--dataset", built_dataset.pk, "--standard-networks", "lenet", "--train-epochs", "1"]
    command = start_command(
        "train_model", "twice", "--here", "--json", *network, "--folds", "2", stdout=subprocess.PIPE
    )
    printed = json.loads(command.communicate(timeout=120)[0])
    assert (command.returncode, printed["status"]) == (0, "Done")
    figures = printed["fold_figures"]["accuracy"]
    assert (figures["folds"], len(printed["leaderboard"])) == (2, 2)
    assert figures["mean"] == pytest.approx(sum(row["accuracy"] for row in printed["leaderboard"]) / 2)
