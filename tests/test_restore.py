"""What restore refuses: a server that is not empty or not stopped, and a tar that backup has not written whole."""

import io
import json
import os
import shutil
import tarfile

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from digits_project.jobs import restore
from models_app.models import TrainedModel

JOB = "20260101-000000-abcd"


class Tar:
    """A backup as somebody might have made it."""

    def __init__(self, path, **changes):
        self.path = path
        self.manifest = {"format": 1, "made_at": "", "migrations": [], "jobs": [JOB], "records": True} | changes

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


def refused(path):
    """Why it is not restored; nothing may be there afterwards."""
    settings.DIGITS_JOBS_DIR.mkdir(exist_ok=True)
    with pytest.raises(CommandError) as said:
        call_command("restore", str(path))
    assert [entry.name for entry in settings.DIGITS_JOBS_DIR.iterdir()] == []
    assert not TrainedModel.objects.exists()
    return str(said.value)


@pytest.mark.django_db
def test_while_a_server_uses_the_database_nothing_is_restored(tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add("end.json", b"{}")
    server = connection.copy()
    with server.temporary_connection():
        assert "Stop the server first: 1 connections" in refused(tmp_path / "b.tar")
    server.close()


@pytest.mark.django_db(transaction=True)
def test_where_there_are_jobs_nothing_is_restored(built_dataset, tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add("end.json", b"{}")
    with pytest.raises(CommandError, match="There are jobs here: 1 in the database, 1 folders in"):
        call_command("restore", str(tmp_path / "b.tar"))
    assert built_dataset.directory.exists()


@pytest.mark.django_db(transaction=True)
def test_a_folder_without_a_row_is_a_job_too(tmp_path):
    (settings.DIGITS_JOBS_DIR / JOB).mkdir(parents=True)
    with pytest.raises(restore.Refused, match="There are jobs here: 0 in the database, 1 folders in"):
        restore.restore(tmp_path / "b.tar")


@pytest.mark.django_db(transaction=True)
def test_a_row_without_a_folder_is_a_job_too(built_dataset, tmp_path):
    shutil.rmtree(built_dataset.directory)
    with pytest.raises(restore.Refused, match="There are jobs here: 1 in the database, 0 folders in"):
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
def test_a_member_that_belongs_into_no_folder_of_a_job_is_refused(tmp_path, member):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add(**member)
        tar.add("end.json", b"{}")
    assert "is no whole backup" in refused(tmp_path / "b.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes, said",
    [({"format": 2}, "has the format 2"), ({"migrations": ["jobs.9999_later"]}, "does not know jobs.9999_later")],
    ids=["format", "migrations"],
)
def test_a_backup_of_a_newer_version_is_refused(tmp_path, changes, said):
    with Tar(tmp_path / "b.tar", **changes) as tar:
        tar.add("end.json", b"{}")
    assert said in refused(tmp_path / "b.tar")


@pytest.mark.django_db
def test_a_backup_that_was_cut_off_is_refused(tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add(f"jobs/{JOB}/file", bytes(100_000))
    assert "its end is missing" in refused(tmp_path / "b.tar")
    os.truncate(tmp_path / "b.tar", 50_000)
    assert "is no whole backup" in refused(tmp_path / "b.tar")
    (tmp_path / "b.tar").write_bytes(b"no tar")
    assert "is no whole backup" in refused(tmp_path / "b.tar")


@pytest.mark.django_db
def test_what_is_no_dump_is_found_out_before_anything_is_replaced(tmp_path):
    with Tar(tmp_path / "b.tar") as tar:
        tar.add("end.json", b"{}")
    assert "pg_restore failed" in refused(tmp_path / "b.tar")
