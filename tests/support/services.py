"""A pytest plugin (`-p tests.support.services` in pyproject.toml): PostgreSQL and Redis for the test session.

Where DATABASE_URL and REDIS_URL are set, those are used; what is missing is started in a temporary home before Django
reads its settings, and gone with the session.
"""

import contextlib
import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from digits_project.stack.embedded import Services

# The tests' queues keep apart in a Redis that they share, also with tests that run beside them.
QUEUE_PREFIX = f"digits-test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config):
    """Runs around pytest-django's hook of this name, which loads the settings."""
    gc.disable()  # a third of the time that the collection of the tests takes; conftest.py enables it after that
    asked = early_config.known_args_namespace
    if not (asked.help or asked.version):
        resources = contextlib.ExitStack()
        early_config.add_cleanup(resources.close)
        _provide(resources)
    return (yield)


def _provide(resources: contextlib.ExitStack) -> None:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    home = resources.enter_context(temporary_home())
    missing = {name: name not in os.environ for name in ("DATABASE_URL", "REDIS_URL")}
    if any(missing.values()):
        services = Services(home, postgres=missing["DATABASE_URL"], redis=missing["REDIS_URL"], durable=False)
        resources.enter_context(services)
        os.environ.setdefault("DATABASE_URL", services.database_url or "")
        os.environ.setdefault("REDIS_URL", services.redis_url or "")
    os.environ |= {"DIGITS_HOME": str(home), "DIGITS_JOBS_DIR": str(home / "jobs"), "DIGITS_DATA_ROOTS": "/"}
    os.environ["RQ_KEY_PREFIX"] = QUEUE_PREFIX


@pytest.fixture
def home():
    """A temporary DIGITS_HOME that no services run on yet."""
    with temporary_home() as folder:
        yield folder


@contextlib.contextmanager
def temporary_home():
    """Unlike pytest's, a folder that PostgreSQL's user can reach when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="digits-test-"))
    folder.chmod(0o711)
    yield folder
    remove_home(folder)


def remove_home(folder: Path) -> None:
    """The home, the databases that it links to where they could not be inside, and the sockets that kill -9 left."""
    for database in folder.rglob("embedded/postgres"):
        shutil.rmtree(database.resolve())
    for sockets in folder.rglob("embedded/sockets"):
        shutil.rmtree(sockets.read_text(), ignore_errors=True)  # most are gone
    shutil.rmtree(folder)
