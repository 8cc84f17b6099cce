"""Conformance tests run once for each engine that this Python can load: mark them with
`pytest.mark.usefixtures("engine_name")`."""

import pytest

from models_app.training.engines import ENGINES
from tests.support.samples import engine_samples

LOADABLE = [name for name, engine in ENGINES.items() if engine.is_importable()]


@pytest.fixture(scope="module", params=LOADABLE)
def engine_name(request):
    """Each of these engines in turn: engine_of() opens it, and the trainings of config_of() run on it."""
    with engine_samples.use_engine(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _engine_that_can(request):
    """Skip a test with the mark only_engine on every other engine."""
    only, tested = request.node.get_closest_marker("only_engine"), engine_samples.engine_name.get()
    if only and tested not in only.args:
        pytest.skip(f"{tested} can't do this: {only.kwargs['reason']}")
