"""Refusals of restore: a server that is not empty or not stopped, and a tar that is no complete backup."""

import io
import json
import os
import shutil
import tarfile

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from digits_project.jobs.backup import restore
from models_app.models import TrainedModel

JOB, OTHER = "20260101-000000-abcd", "20260101-000000-abce"


class Tar:
    """Writes a backup with a changed manifest and any members."""

    def __init__(self, path, **changes):
        self.path = path
        manifest = {
            "format": 1,
            "made_at": "2026-11-29T10:00:00+00:00",
            "migrations": [],
            "jobs": [JOB],
            "records": True,
        }
        self.manifest = manifest | changes

    def __enter__(self):
        self.tar = tarfile.open(self.path, "w")
        self.add("backup.json", json.dumps(self.manifest).encode())
        self.add("database.dump", b"no dump")
        self.add(f"jobs/{JOB}", type=tarfile.DIRTYPE)
        return self

    def add(self, name, content=b"", **fields):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for field, value in fields.items():
            setattr(member, field, value)
        self.tar.addfile(member, io.BytesIO(content))

    def __exit__(self, *exception):
        self.tar.close()


def refusal_of(path):
    """The message with which restore refuses this file. Asserts that nothing was restored."""
    settings.DIGITS_JOBS_DIR.mkdir(exist_ok=True)
    with pytest.raises(CommandError) as error:
        call_command("restore", str(path))
    assert [entry.name for entry in settings.DIGITS_JOBS_DIR.iterdir()] == []
    assert not TrainedModel.objects.exists()
    return str(error.value)


@pytest.mark.django_db
def test_restore_is_refused_while_a_server_uses_the_database(tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add("end.json", b"{}")
    server = connection.copy()
    with server.temporary_connection():
        assert "Stop the server first: 1 connections" in refusal_of(tmp_path / "b.tar")
    server.close()


@pytest.mark.django_db(transaction=True)
def test_restore_is_refused_where_jobs_exist(built_dataset, tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add("end.json", b"{}")
    with pytest.raises(CommandError, match="There are jobs here: 1 in the database, 1 folders in"):
        call_command("restore", str(tmp_path / "b.tar"))
    assert built_dataset.directory.exists()


@pytest.mark.django_db(transaction=True)
def test_restore_is_refused_where_a_folder_has_no_row(tmp_path):
    (settings.DIGITS_JOBS_DIR / JOB).mkdir(parents=True)
    with pytest.raises(restore.RestoreRefused, match="There are jobs here: 0 in the database, 1 folders in"):
        restore.restore(tmp_path / "b.tar")


@pytest.mark.django_db(transaction=True)
def test_restore_is_refused_where_a_row_has_no_folder(built_dataset, tmp_path):
    shutil.rmtree(built_dataset.directory)
    with pytest.raises(restore.RestoreRefused, match="There are jobs here: 1 in the database, 0 folders in"):
        restore.restore(tmp_path / "b.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "member",
    [
        {"name": "/etc/cron.d/x"},
        {"name": "../x"},
        {"name": f"jobs/{JOB}/../../x"},
        {"name": f"jobs/{JOB}/./x"},
        {"name": "jobs/20260101-000000-ffff/x"},
        {"name": "jobs"},
        {"name": "x"},
        {"name": f"jobs/{JOB}/link", "type": tarfile.SYMTYPE, "linkname": "/etc"},
        {"name": f"jobs/{JOB}/link", "type": tarfile.LNKTYPE, "linkname": "backup.json"},
        {"name": f"jobs/{JOB}/pipe", "type": tarfile.FIFOTYPE},
        {"name": f"jobs/{JOB}/disk", "type": tarfile.BLKTYPE},
    ],
    ids=lambda member: f"{member['name']} {member.get('type', b'0').decode()}",
)
def test_a_member_outside_the_folders_of_jobs_is_refused(tmp_path, member):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add(**member)
        tar.add("end.json", b"{}")
    assert "is not a complete backup" in refusal_of(tmp_path / "b.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes, message",
    [({"format": 2}, "has the format 2"), ({"migrations": ["jobs.9999_later"]}, "does not know jobs.9999_later")],
    ids=["format", "migrations"],
)
def test_a_backup_of_a_newer_version_is_refused(tmp_path, changes, message):
    with Tar(tmp_path / "b.tar", **changes) as tar:
        tar.add("end.json", b"{}")
    assert message in refusal_of(tmp_path / "b.tar")


@pytest.mark.django_db
def test_a_squashed_migration_of_an_earlier_version_is_no_newer_version(tmp_path):
    with Tar(tmp_path / "b.tar", migrations=["models_app.0001_squashed_0016_lr_warmup"]) as tar:
        tar.add("end.json", b"{}")
    assert "pg_restore failed" in refusal_of(tmp_path / "b.tar")  # the dump of these tests is empty


@pytest.mark.django_db
def test_a_truncated_backup_is_refused(tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add(f"jobs/{JOB}/file", bytes(100_000))
    assert "its end is missing" in refusal_of(tmp_path / "b.tar")
    os.truncate(tmp_path / "b.tar", 50_000)
    assert "is not a complete backup" in refusal_of(tmp_path / "b.tar")
    (tmp_path / "b.tar").write_bytes(b"no tar")
    assert "is not a complete backup" in refusal_of(tmp_path / "b.tar")


@pytest.mark.django_db
def test_an_invalid_database_dump_is_refused_before_the_database_changes(tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add("end.json", b"{}")
    assert "pg_restore failed" in refusal_of(tmp_path / "b.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers, message",
    [
        ({"mtime": "1e30"}, "impossible modification time"),
        ({"mtime": "-1e30"}, "impossible modification time"),
        ({"mtime": "nan"}, "impossible modification time"),
        ({"mtime": "inf"}, "impossible modification time"),
        ({"size": "-1"}, "a size below 0"),
        ({"size": str(10**30)}, "is not a complete backup"),
        ({"GNU.sparse.size": "9" * 5000}, "is not a complete backup"),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}, "is not a complete backup"),
        ({"path": "jobs/x\0y"}, "is not a complete backup"),
        ({"comment": "9" * 20_000}, "a header is too long"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_hostile_extended_header_is_refused(tmp_path, headers, message):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add(f"jobs/{JOB}/file", b"x", pax_headers=headers)
        tar.add("end.json", b"{}")
    assert message in refusal_of(tmp_path / "b.tar")


def header(kind, size):
    """The 512 bytes of a member header of this type and size."""
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers, message",
    [
        (header(tarfile.XHDTYPE, 0) * 3000, "nested too deeply"),
        (header(tarfile.XGLTYPE, 0) * 3000, "nested too deeply"),
        (header(tarfile.GNUTYPE_LONGNAME, 2**40), "a header is too long"),
        (header(tarfile.XHDTYPE, 2**40), "a header is too long"),
        (header(tarfile.REGTYPE, -1), "is not a complete backup"),
        (header(tarfile.REGTYPE, 2**60), "is not a complete backup"),
        (header(tarfile.DIRTYPE, -(2**40)), "is not a complete backup"),
        (header(tarfile.GNUTYPE_SPARSE, 0), "is not a complete backup"),
    ],
    ids=["extended", "global", "name", "long", "below 0", "endless", "folder", "sparse"],
)
def test_a_long_chain_of_headers_or_an_impossible_size_is_refused(tmp_path, headers, message):
    with Tar(tmp_path / "b.tar") as tar:
        tar.tar.fileobj.write(headers)
    assert message in refusal_of(tmp_path / "b.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "manifest",
    ["[" * 100_000, '{"a":' * 100_000, "[]", "7", "null", "{}", "\xff", "1" * 5000, '{"format": ' + "1" * 5000 + "}"],
    ids=["deep list", "deep object", "list", "number", "null", "empty", "no UTF-8", "long number", "long format"],
)
def test_an_invalid_manifest_is_refused(tmp_path, manifest):
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        member = tarfile.TarInfo("backup.json")
        member.size = len(manifest.encode("latin-1"))
        tar.addfile(member, io.BytesIO(manifest.encode("latin-1")))
    assert "is not a complete backup" in refusal_of(tmp_path / "b.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"jobs": {"a": 1}},
        {"jobs": [7]},
        {"jobs": None},
        {"migrations": [["a"]]},
        {"migrations": "abc"},
        {"made_at": "\x1b[2J"},
        {"made_at": 7},
        {"records": "yes"},
        {"format": "\x1b[2J"},
    ],
    ids=str,
)
def test_a_manifest_with_a_field_of_a_wrong_type_is_refused(tmp_path, changes):
    with Tar(tmp_path / "b.tar", **changes) as tar:
        tar.add("end.json", b"{}")
    message = refusal_of(tmp_path / "b.tar")
    assert "is not a complete backup" in message or "has the format" in message
    assert message.isprintable()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "members",
    [
        [(f"jobs/{JOB}/a", b"1"), (f"jobs/{JOB}/a", b"2")],
        [(f"jobs/{JOB}/a/b", b"1")],
        [(f"jobs/{JOB}/a", b"1"), (f"jobs/{JOB}/a/b", b"2")],
        [(f"jobs/{OTHER}", b"a file where a folder belongs")],
        [(f"jobs/{JOB}/\x1b[2J/b", b"1")],
    ],
    ids=["twice", "without its folder", "below a file", "no folder", "unprintable"],
)
def test_members_that_contradict_each_other_are_refused(tmp_path, members):
    with Tar(tmp_path / "b.tar", jobs=[JOB, OTHER]) as tar:
        for name, content in members:
            tar.add(name, content)
        tar.add("end.json", b"{}")
    message = refusal_of(tmp_path / "b.tar")
    assert "is not a complete backup" in message
    assert message.isprintable()


@pytest.mark.django_db
def test_a_dump_that_is_a_folder_is_refused(tmp_path):
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        manifest = {"format": 1, "made_at": "2026-11-29T10:00:00", "migrations": [], "jobs": [], "records": True}
        member = tarfile.TarInfo("backup.json")
        member.size = len(json.dumps(manifest))
        tar.addfile(member, io.BytesIO(json.dumps(manifest).encode()))
        folder = tarfile.TarInfo("database.dump")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    assert "database.dump is not a file" in refusal_of(tmp_path / "b.tar")
