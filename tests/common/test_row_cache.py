"""The cache of rows returns a value until PostgreSQL reports a change, and only while it can hear of changes."""

import contextlib
import threading

import psutil
import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from digits_project.common import row_cache
from digits_project.common.row_cache import RowCache
from tests.support.server import wait_until
from tests.support.stopwatch import Stopwatch
from tests.support.webserver import Deaf, connect, first_of_two, forked, is_warm, opened_cache

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cache():
    with opened_cache() as cache:
        yield cache


@pytest.fixture
def group():
    return Group.objects.create(name="before")


@pytest.fixture
def name(cache, group):
    """A function that returns the group's name, from the cache."""
    return lambda: cache.get("name", lambda: Group.objects.get(pk=group.pk).name)


def rename_elsewhere(group, name):
    """As another process does it: on another connection, past Django's models."""
    with contextlib.closing(connect()) as other, other, other.cursor() as cursor:
        cursor.execute("UPDATE auth_group SET name = %s WHERE id = %s", [name, group.pk])


def listeners():
    """The backends of PostgreSQL that listen for changes of rows in this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query IN ('LISTEN digits_rows', 'SELECT 1')"
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_a_cached_value_needs_no_query(name, django_assert_num_queries):
    assert name() == "before"
    with django_assert_num_queries(0):
        assert [name(), name()] == ["before", "before"]


def test_a_change_of_another_process_is_seen_at_once(name, group):
    assert name() == "before"
    rename_elsewhere(group, "after")
    with Stopwatch() as watch:
        wait_until(lambda: name() == "after", seconds=30)
    assert watch.seconds < row_cache.TRUST_SECONDS


def test_a_change_of_another_web_process_is_seen_before_its_notification(group):
    with first_of_two() as shared, opened_cache(Deaf) as cache:
        names = [cache.get("name", lambda: Group.objects.get(pk=group.pk).name)]
        rename_elsewhere(group, "after")
        names.append(cache.get("name", lambda: Group.objects.get(pk=group.pk).name))
        with forked(lambda: (shared.join(), row_cache.clear())):
            names.append(cache.get("name", lambda: Group.objects.get(pk=group.pk).name))
    assert names == ["before", "before", "after"]


def test_a_change_that_is_rolled_back_changes_nothing(name, group):
    assert name() == "before"
    with contextlib.closing(connect()) as other, other.cursor() as cursor:
        cursor.execute("UPDATE auth_group SET name = 'after' WHERE id = %s", [group.pk])
        other.rollback()
    assert name() == "before"


def test_a_value_that_was_read_before_a_change_is_not_kept(cache, name, group):
    cache.get("other", lambda: 1)

    def slow_read():
        old = Group.objects.get(pk=group.pk).name
        rename_elsewhere(group, "after")
        wait_until(lambda: cache.get("other", lambda: 2) == 2)  # the notification has come
        return old

    assert cache.get("name", slow_read) == "before"
    assert name() == "after"


def test_in_a_transaction_rows_are_read_and_not_kept(cache, name, group):
    assert name() == "before"
    with transaction.atomic():
        Group.objects.filter(pk=group.pk).update(name="within")
        assert name() == "within"
        transaction.set_rollback(True)
    assert name() == "before"


def test_none_is_not_kept(cache):
    values = iter([None, 7])
    assert [cache.get("late", lambda: next(values)) for _ in range(3)] == [None, 7, 7]


def test_values_are_read_anew_after_the_connection_was_lost(cache, name, group):
    assert name() == "before"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", listeners())
    rename_elsewhere(group, "after")
    wait_until(lambda: name() == "after", seconds=row_cache.TRUST_SECONDS)
    wait_until(lambda: len(listeners()) == 1 and is_warm(cache))
    assert name() == "after"


def test_without_a_connection_every_value_is_read():
    def refuse():
        raise OSError("no such host")

    cache = RowCache(refuse, in_transaction=lambda: False)
    values = iter([1, 2, 3])
    assert [cache.get("number", lambda: next(values)) for _ in range(3)] == [1, 2, 3]
    cache.close()


def test_values_are_not_used_while_postgresql_does_not_respond(cache, name):
    assert name() == "before"
    backend = psutil.Process(listeners()[0])
    backend.suspend()
    try:
        wait_until(lambda: not is_warm(cache), seconds=2 * row_cache.TRUST_SECONDS)
    finally:
        backend.resume()
    wait_until(lambda: is_warm(cache))


def test_an_unused_cache_holds_no_connection_and_no_thread(monkeypatch):
    monkeypatch.setattr(row_cache, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(row_cache, "CHECK_SECONDS", 0.1)
    with opened_cache():
        wait_until(lambda: not listeners())
        wait_until(lambda: "row-cache" not in {thread.name for thread in threading.enumerate()})


def test_the_number_of_values_is_limited(cache, monkeypatch):
    monkeypatch.setattr(row_cache, "MAX_VALUES", 10)
    for number in range(100):
        cache.get(number, lambda number=number: number)
    assert len(cache._values) <= 10
