"""What the server reads from a trainer, for which a shell script stands here: events, and text of other programs."""

import pytest

from models_app import trainer_process
from models_app.trainer_process import TrainerDied
from models_app.training.engines.registry import PYTHONS
from tests.support.engines.torch_environment import write_python


@pytest.fixture
def follow(tmp_path, monkeypatch):
    """A function that runs shell commands as a trainer, and returns its events and its log."""

    def follow(commands, **options):
        monkeypatch.setitem(PYTHONS, "torch", write_python(tmp_path / "python", trains=commands))
        config, log = tmp_path / "config.json", tmp_path / "train.log"
        config.write_text('{"engine": "torch"}')
        with trainer_process.events(config, log, **options) as events:
            return [event for event in events if event], log.read_text()

    return follow


def test_text_that_is_no_event_goes_to_the_log_of_the_training(follow):
    events, log = follow(
        """echo Preparing; printf 'Loading {CUDA}: '; echo '{"event": "progress", "fraction": 0.5}'
        echo '{"note": 1}'; echo on error stream >&2; echo '{"event": "done"}'; printf 'The end'"""
    )
    assert events == [{"event": "progress", "fraction": 0.5}, {"event": "done"}]
    assert sorted(log.splitlines()) == ["Loading {CUDA}: ", "Preparing", "The end", "on error stream", '{"note": 1}']


def test_the_ranks_of_a_further_host_can_be_silent_for_any_time(follow, monkeypatch):
    monkeypatch.setattr(trainer_process, "SILENCE_SECONDS", 0.1)
    assert follow("sleep 1", is_reporting=False) == ([], "")
    with pytest.raises(TrainerDied, match=r"sent nothing for 0\.1 s"):
        follow("sleep 1")
