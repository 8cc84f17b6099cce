"""Conformance tests run once for each installed engine: mark them with `pytest.mark.usefixtures("engine_name")`."""

import pytest

from models_app.training.engines import ENGINES
from tests.support.samples import engine_samples

INSTALLED = [name for name, engine in ENGINES.items() if engine.is_installed()]


@pytest.fixture(scope="module", params=INSTALLED)
def engine_name(request):
    """Each installed engine in turn: engine_of() opens it, and the trainings of config_of() run on it."""
    with engine_samples.use_engine(request.param):
        yield request.param
