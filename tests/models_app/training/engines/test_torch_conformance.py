"""The tests of engines run in the Python of PyTorch, too, where no MXNet and no Django is."""

from pathlib import Path

import pytest

from models_app.training.engines.torch_declaration import TORCH
from tests.support.engines.conformance import TESTS, conformance_files, run_conformance_tests

pytestmark = [pytest.mark.torch, pytest.mark.trainer, pytest.mark.timeout(1500)]

# Files whose tests look at something else with an engine.
ELSEWHERE = ("test_callbacks", "test_crops", "test_early_stopping", "test_feature_cache", "test_input_resize")
ALL = [path for path in conformance_files(TESTS) if Path(path).stem not in ELSEWHERE]
OF_ENGINES = conformance_files(TESTS / "training/engines")
OF_NETWORKS = conformance_files(TESTS / "networks")
PARTS = {
    "engines": OF_ENGINES,
    "networks": OF_NETWORKS,
    "trainings": [path for path in ALL if path not in (*OF_ENGINES, *OF_NETWORKS)],
}


@pytest.mark.parametrize("part", [pytest.param(part, marks=pytest.mark.slow(60)) for part in PARTS])
def test_pytorch_passes_the_tests_of_engines(part):
    finished = run_conformance_tests(TORCH.python(), PARTS[part])
    assert finished.returncode == 0, finished.stdout + finished.stderr
