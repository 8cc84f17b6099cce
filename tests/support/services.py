"""A pytest plugin (`-p tests.support.services` in pyproject.toml) that provides PostgreSQL and Redis to the session.

It uses the services in DATABASE_URL and REDIS_URL. A service whose variable is not set is started in a temporary home
before Django reads its settings, and stopped at the end of the session.
"""

import contextlib
import gc
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from digits_project.stack.embedded import Services

# Test processes that share a Redis use queues with different prefixes.
QUEUE_PREFIX = f"digits-test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config):
    """Provide the services before pytest-django's hook of the same name loads the settings."""
    gc.disable()  # it takes a third of the time of collecting; conftest.py enables it afterwards
    options = early_config.known_args_namespace
    if not (options.help or options.version):
        resources = contextlib.ExitStack()
        early_config.add_cleanup(resources.close)
        _provide(resources)
    return (yield)


def _provide(resources: contextlib.ExitStack) -> None:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # of an engine in this process: the others need the cores too
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, ignore it
    home = resources.enter_context(temporary_home())
    missing = {name: name not in os.environ for name in ("DATABASE_URL", "REDIS_URL")}
    if any(missing.values()):
        services = Services(home, postgres=missing["DATABASE_URL"], redis=missing["REDIS_URL"], durable=False)
        resources.enter_context(services)
        os.environ.setdefault("DATABASE_URL", services.database_url or "")
        os.environ.setdefault("REDIS_URL", services.redis_url or "")
    os.environ |= {"DIGITS_HOME": str(home), "DIGITS_JOBS_DIR": str(home / "jobs"), "DIGITS_DATA_ROOTS": "/"}
    os.environ.setdefault("DIGITS_DATASET_REPORTS", "off")  # a test that wants a report starts it
    os.environ["RQ_KEY_PREFIX"] = QUEUE_PREFIX


@pytest.fixture
def home():
    """A temporary DIGITS_HOME on which no services run yet."""
    with temporary_home() as folder:
        yield folder


@contextlib.contextmanager
def temporary_home():
    """A temporary folder that PostgreSQL's user can reach, unlike tmp_path, when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="digits-test-"))
    folder.chmod(0o711)
    yield folder
    remove_home(folder)


def remove_home(folder: Path) -> None:
    """Remove a home, the databases outside of it that it links to, and the sockets that killed services left."""
    for database in folder.rglob("embedded/postgres"):
        shutil.rmtree(database.resolve())
    for sockets in folder.rglob("embedded/sockets"):
        shutil.rmtree(sockets.read_text(), ignore_errors=True)  # services that stop remove theirs
    shutil.rmtree(folder)
