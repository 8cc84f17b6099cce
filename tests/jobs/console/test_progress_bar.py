"""What commands show of running jobs: epoch, accuracy and time left on one line, a line for each epoch in a pipe."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from digits_project.common.terminal import Screen
from digits_project.jobs import lifecycle
from digits_project.jobs.console.follow import ProgressDisplay
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.results import Metric
from tests.support.console import Pipe, Terminal

pytestmark = pytest.mark.django_db
XTERM = {"TERM": "xterm"}


@pytest.fixture
def training(make_dataset, make_model):
    """A model that has trained a tenth of its thirty epochs in a minute."""
    model = make_model(make_dataset(), train_epochs=30)
    lifecycle.advance(model, Status.RUNNING)
    started = timezone.now() - timedelta(minutes=1)
    TrainedModel.objects.filter(pk=model.pk).update(progress=0.1, started_at=started)
    model.refresh_from_db()
    return model


def validated(model, epoch, accuracy):
    Metric.objects.create(trained_model=model, split="val", epoch=epoch, loss=0.5, learning_rate=0.1, accuracy=accuracy)


def test_a_terminal_shows_epoch_accuracy_and_time_left_on_one_line_of_80_columns(training, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    validated(training, 3, 0.9123)
    terminal = Terminal()
    ProgressDisplay(Screen(terminal, XTERM)).show([training])
    [line] = terminal.lines()
    assert line.startswith("  Running")
    assert line.rstrip().endswith(" s epoch 3 of 30, accuracy 91.2 %, 9 min left")
    assert len(line) <= 80


def test_a_pipe_gets_one_line_for_each_epoch(training):
    pipe = Pipe()
    progress = ProgressDisplay(Screen(pipe, {}))
    progress.show([training])
    for epoch, accuracy in ((1, 0.5), (2, 0.75), (3, 0.8)):
        validated(training, epoch, accuracy)
        for _ in range(2 * (epoch - 1)):  # the first two epochs are over when they are seen
            progress.show([training])
    lifecycle.advance(training, Status.DONE)
    progress.show([training])
    assert pipe.getvalue().splitlines() == [
        "  Running, 10 %",
        "  epoch 1 of 30, accuracy 50.0 %",
        "  epoch 2 of 30, accuracy 75.0 %, 9 min left",
        "  epoch 3 of 30, accuracy 80.0 %, 9 min left",
        "  Done",
    ]


def test_a_training_without_validation_shows_the_epochs_that_are_done(training):
    training.val_interval = 0
    Metric.objects.create(trained_model=training, split="train", epoch=2.4, loss=0.5, learning_rate=0.1)
    assert training.milestones() == ["epoch 1 of 30", "epoch 2 of 30"]


def test_an_abort_counts_only_the_jobs_that_it_stops(make_dataset, capsys):
    ended, *others = [make_dataset(name=f"dataset {number}") for number in range(3)]
    lifecycle.advance(ended, Status.ERROR, error="The disk is full.")
    with pytest.raises(CommandError, match=r"^dataset 0 has ended \(Error\); there is nothing to abort\.$"):
        call_command("abort", *(job.pk for job in (ended, *others)))
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines] == [f"{job.name} ({job.pk}) is Aborted" for job in others]
