"""The embedded PostgreSQL and Redis as real processes: access, restarts, one supervisor on a home."""

import contextlib
import json
import multiprocessing
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from digits_project.common import processes
from digits_project.stack import embedded_postgres
from digits_project.stack.embedded import ServiceError, Services, running_urls
from digits_project.stack.embedded_redis import newest_server
from tests.support.server import ROOT, await_exit
from tests.support.services import temporary_home

NOBODY = processes.SystemAccount(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
SUPERVISOR = """
import json, pathlib, signal, sys
from digits_project.stack.embedded import Services
with Services(pathlib.Path(sys.argv[1]), durable=False) as services:
    print(json.dumps([services.database_url, services.redis_url]), flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def services():
    with temporary_home() as home, Services(home, durable=False) as running:
        yield running


@contextlib.contextmanager
def supervisor_process(home):
    """Run the services under another process; yields that process and the URLs."""
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, home], stdout=subprocess.PIPE, text=True) as process:
        yield process, *json.loads(process.stdout.readline())
        process.kill()


def query_both(database_url, redis_url, query="SELECT 1"):
    """Ping Redis; return the first column of the query's first row."""
    assert redis.Redis.from_url(redis_url).ping()
    with contextlib.closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def test_both_services_respond_on_their_urls(services):
    assert query_both(services.database_url, services.redis_url, "SELECT current_user") == "digits"


def test_the_supervisor_loads_no_large_module_that_its_children_have():
    loaded = "import sys, digits_project.stack.__main__; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    large = {"dataclasses", "django", "http.client", "numpy", "psycopg2", "redis", "ssl"}
    assert large & set(modules.split()) == set()


def test_a_second_supervisor_on_the_same_home_is_refused(services):
    with pytest.raises(ServiceError, match="already run"), Services(services.home):
        pass


def test_secrets_are_readable_by_their_owner_only(services):
    files = [services.folder / name for name in ("secrets.json", "redis.conf", "urls.json")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_no_password_is_in_an_argument_list_or_a_log(services):
    passwords = json.loads((services.folder / "secrets.json").read_text())
    words = [word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or []]
    logs = [log.read_text() for log in (services.home / "log").iterdir()]
    text = "\n".join([*words, *logs])
    assert len(logs) == 2
    assert [name for name in ("postgres", "digits", "redis") if passwords[name] in text] == []


def test_both_services_refuse_clients_without_the_password(services):
    sockets = services.database_url.partition("host=")[2]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(host=sockets, user="postgres", dbname="postgres", password="guess")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=str(Path(sockets).parent / "redis.sock"), retry=None).ping()


def test_neither_service_listens_on_a_port(services):
    children = [psutil.Process(service.process.pid) for service in services.services]
    assert [child.net_connections("inet") for child in children] == [[], []]


def test_another_shell_finds_the_running_services(services):
    urls = {"DATABASE_URL": services.database_url, "REDIS_URL": services.redis_url}
    assert running_urls(services.home) == urls


@pytest.mark.parametrize("position", [0, 1], ids=["postgres", "redis"])
def test_a_killed_service_is_restarted_on_its_url(services, position):
    services.services[position].process.kill()
    services.services[position].process.wait()
    assert "was restarted" in services.tend()[0]
    assert query_both(services.database_url, services.redis_url) == 1


def test_kill_9_of_the_supervisor_ends_both_services_and_loses_no_data(home):
    with supervisor_process(home) as (process, database_url, redis_url):
        with (
            contextlib.closing(psycopg2.connect(database_url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        redis.Redis.from_url(redis_url).set("kept", "too")
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await_exit(children)
    assert (len(children) > 2, running_urls(home)) == (True, {})
    with Services(home, durable=False) as again:
        assert query_both(again.database_url, again.redis_url, "SELECT answer FROM kept") == 42
        assert redis.Redis.from_url(again.redis_url).get("kept") == b"too"


def test_a_start_right_after_kill_9_succeeds(home):
    with supervisor_process(home) as (process, *_):
        process.kill()
        process.wait()
        with Services(home, durable=False) as again:
            assert query_both(again.database_url, again.redis_url) == 1


def test_a_stale_pid_file_with_the_pid_of_another_process_is_ignored(home):
    with Services(home, durable=False):
        data = (home / "embedded" / "postgres").resolve()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n\n\n\n")
    with Services(home, durable=False) as again:
        assert query_both(again.database_url, again.redis_url) == 1


def test_both_services_run_below_a_long_path_with_spaces(home, monkeypatch):
    folder = home / ("a long name " * 8) / ("and another " * 8)
    folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with Services(folder, durable=False) as running:
        assert query_both(running.database_url, running.redis_url) == 1


def test_only_the_requested_service_starts(home):
    with Services(home, postgres=False, durable=False) as running:
        assert (running.database_url, [part.name for part in running.services]) == (None, [newest_server().product])


def test_the_error_of_a_service_that_does_not_start_quotes_its_log(home):
    with Services(home, durable=False):
        data = (home / "embedded" / "postgres").resolve()
    (data / "PG_VERSION").write_text("9.6\n")
    with (
        pytest.raises(ServiceError, match=r"(?s)PostgreSQL exited.*postgres\.log.*version 9\.6"),
        Services(home, durable=False),
    ):
        pass
    assert processes.working_in(data) == []


def test_a_database_without_its_passwords_is_not_replaced(home):
    with Services(home, durable=False):
        pass
    (home / "embedded" / "secrets.json").unlink()
    with pytest.raises(ServiceError, match=r"secrets\.json, are missing"), Services(home, durable=False):
        pass


def test_an_interrupted_initdb_is_not_taken_for_a_database(home):
    (home / "embedded" / "postgres.new" / "base").mkdir(parents=True)
    with Services(home, durable=False) as running:
        assert query_both(running.database_url, running.redis_url) == 1


def run_as_nobody(home):
    os.setgroups([])
    os.setgid(NOBODY.gid)
    os.setuid(NOBODY.uid)
    with Services(home, durable=False) as running:
        assert query_both(running.database_url, running.redis_url) == 1


@pytest.mark.skipif(
    os.geteuid() != 0 or not embedded_postgres.can_reach(newest_server().path, NOBODY),
    reason="only root can become another user, and that user must be able to read this Python's packages",
)
def test_an_unprivileged_user_runs_both_services_below_a_home_of_mode_0700(home):
    os.chown(home, NOBODY.uid, NOBODY.gid)
    home.chmod(0o700)
    process = multiprocessing.get_context("fork").Process(target=run_as_nobody, args=(home,))
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as another user only under root")
def test_the_database_of_a_private_home_of_root_lies_where_its_user_can_reach_it(home):
    home.chmod(0o700)
    with Services(home, durable=False) as running:
        assert query_both(running.database_url, running.redis_url) == 1
        data = (home / "embedded" / "postgres").resolve()
        assert data.parent == embedded_postgres.PUBLIC
        assert psutil.Process(running.services[0].process.pid).uids().effective == data.stat().st_uid != 0
