"""What the report finds of planted faults, as JSON, CSV, page and command."""

import csv
import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command

from datasets import reports
from datasets.models import Dataset, DatasetReport
from datasets.report.image_set import ImageSet
from datasets.report.stored_measures import read_measures
from datasets.report.vectors import feature_network
from datasets.services import create_dataset
from datasets.tasks import build_dataset, make_report
from digits_project.common.errors import Aborted
from digits_project.jobs import services
from tests.datasets.report.planted import TILE, WRONG, needs_photos, write_planted
from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server"), needs_photos]
BROWSER = {"Accept": "text/html"}
SIZE = {"resize_width": TILE, "resize_height": TILE}


@pytest.fixture(scope="session")
def planted_folder(tmp_path_factory):
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def dataset(planted_folder):
    """A built dataset with planted faults."""
    made = create_dataset("ada", name="photos", folder_train=str(planted_folder), **SIZE)
    build_dataset(made.pk)
    return Dataset.objects.get()


@pytest.fixture
def report(dataset):
    """Its report."""
    make_report(reports.start(dataset, "ada").pk)
    return DatasetReport.objects.get()


def files(findings):
    """The names of the files of each finding."""
    return [sorted(Path(image["path"]).name for image in finding["images"]) for finding in findings]


def test_a_report_finds_what_was_planted_and_shows_it_as_json_csv_page_and_by_command(report, client, capsys):
    address = f"/datasets/{report.dataset_id}/report"
    found = client.get(f"{address}.json").json()
    assert (found["status"], found["images"], found["effective_images"]) == ("Done", 79, 75)
    assert files(found["findings"]["exact_copies"]) == [
        ["coffee-04.png", "copy-conflict.png"],
        ["chelsea-03.png", "copy-exact.png"],
    ]
    assert [copies["conflict"] for copies in found["findings"]["exact_copies"]] == [True, False]
    assert sorted(files(found["findings"]["near_copies"])) == [
        ["astronaut-11.png", "copy-jpeg.jpg"],
        ["coffee-12.png", "copy-darker.png"],
    ]
    assert files(found["findings"]["blank"]) == [["blank.png"]]
    assert ["chelsea-00.png"] in files(found["findings"]["dark"])  # some tiles of the photos are dark too
    assert files(found["findings"]["tiny"]) == [["tiny.png"]]
    assert files(found["findings"]["odd_shape"]) == [["wide.png"]]
    doubted = [name for [name] in files(found["findings"]["label_errors"])]
    assert set(WRONG) <= {*doubted, "copy-conflict.png"}
    assert "only repeat another one" in " ".join(found["sentences"])

    lines = list(csv.DictReader(io.StringIO(b"".join(client.get(f"{address}.csv").streaming_content).decode())))
    assert {Path(line["path"]).name for line in lines if line["kind"] == "blank"} == {"blank.png"}
    page = client.get(address, headers=BROWSER).content.decode()
    assert "Exact copies: 2" in page
    assert "in two categories" in page
    whole = client.get(f"{address}?finding=near_copies", headers=BROWSER).content.decode()
    assert "Exact copies" not in whole
    assert "copy-jpeg" not in whole  # the page shows images, whose pages name the files
    call_command("dataset_report", report.dataset_id, "--here", "--json")
    assert json.loads(capsys.readouterr().out)["counts"] == found["counts"]


def test_the_csv_of_a_report_names_no_folders_to_users_of_a_private_server(report, client, settings, planted_folder):
    address = f"/datasets/{report.dataset_id}/report.csv"
    Dataset.objects.update(owner="ada")
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    client.force_login(make_account("ada", "user"))
    text = b"".join(client.get(address).streaming_content).decode()
    assert "blank.png" in text
    assert str(planted_folder) not in text
    client.force_login(make_account("olga", "operator"))
    assert str(planted_folder) in b"".join(client.get(address).streaming_content).decode()


def test_a_report_is_started_after_a_build_and_only_once(dataset, settings, client):
    settings.DIGITS_DATASET_REPORTS = "auto"
    reports.after_building(dataset.pk)
    started = client.post(f"/datasets/{dataset.pk}/report.json").json()
    assert started["dataset_id"] == dataset.pk
    assert DatasetReport.objects.get().pk == started["id"]


def test_pages_of_a_report_that_is_made_offer_to_abort_it_and_follow_it(dataset, settings, client):
    page = f"/datasets/{dataset.pk}"
    assert 'hx-trigger="every 3s"' not in shown(client, page)
    settings.DIGITS_DATASET_REPORTS = "auto"
    assert 'hx-trigger="every 3s"' in shown(client, page)  # it starts in a moment
    report = reports.start(dataset, "ada")
    assert 'hx-trigger="every 3s"' in shown(client, page)
    assert 'value="abort"' in shown(client, f"{page}/report")
    make_report(report.pk)
    assert 'hx-trigger="every 3s"' not in shown(client, page)
    assert 'value="abort"' not in shown(client, f"{page}/report")
    assert f'name="next" value="{page}"' in shown(client, f"{page}/report")


def shown(client, address):
    return client.get(address, headers=BROWSER).content.decode()


def test_a_dataset_that_is_not_built_gets_no_report(planted_folder, client):
    waiting = create_dataset("ada", name="photos", folder_train=str(planted_folder), **SIZE)
    response = client.post(f"/datasets/{waiting.pk}/report.json")
    assert response.status_code == 409
    assert "photos is Waiting" in response.content.decode()
    assert client.get(f"/datasets/{waiting.pk}/report.json").status_code == 404
    assert "can't be a report now" in client.get(f"/datasets/{waiting.pk}/report", headers=BROWSER).content.decode()


def test_a_dataset_that_is_deleted_while_its_report_is_made_leaves_nothing(dataset):
    report = reports.start(dataset, "ada")

    def delete_at_once(fraction):
        for one in Dataset.objects.all():
            services.delete(one)

    with pytest.raises(Aborted):
        reports.make(report, delete_at_once)
    assert not DatasetReport.objects.exists()
    assert not dataset.directory.exists()
    assert not report.directory.exists()


def test_without_the_network_a_report_says_what_it_lacks(dataset, monkeypatch):
    monkeypatch.setattr(feature_network, "_registered", [])
    make_report(reports.start(dataset, "ada").pk)
    summary = DatasetReport.objects.get().summary
    assert summary["why_no_network"] == "no network for features is registered"
    assert (summary["counts"]["exact_copies"], summary["counts"]["label_errors"]) == (2, 0)
    assert summary["counts"]["near_copies"] >= 1


def test_a_report_gives_way_to_a_dataset_that_waits_but_not_for_ever(dataset, planted_folder, monkeypatch):
    monkeypatch.setattr(reports, "LOOK_SECONDS", 0.0)
    report = reports.start(dataset, "ada")
    create_dataset("ada", name="more photos", folder_train=str(planted_folder), **SIZE)
    for _ in range(reports.ATTEMPTS - 1):
        make_report(report.pk)
        report.refresh_from_db()
        assert report.status == "Waiting"
    make_report(report.pk)
    report.refresh_from_db()
    assert report.status == "Done"


def test_small_images_that_look_alike_are_no_copies(built_dataset, monkeypatch):
    monkeypatch.setattr(feature_network, "_registered", [])
    report = reports.start(built_dataset)
    make_report(report.pk)
    report.refresh_from_db()
    assert (report.status, report.summary["counts"]["near_copies"]) == ("Done", 0)
    assert "120 images have a side of less than 32 pixels" in report.summary["sentences"][-1]


def test_a_report_keeps_the_brightness_of_each_image_of_each_split(built_dataset, monkeypatch):
    monkeypatch.setattr(feature_network, "_registered", [])
    make_report(reports.start(built_dataset).pk)
    for split in ("train", "val"):
        kept = read_measures(built_dataset.report_directory, split)["brightness"]
        with ImageSet(built_dataset.directory, [split]) as images:
            pixels = [images.read(number)[1] for number in range(len(images))]
        assert kept == pytest.approx([one.mean() for one in pixels], abs=0.5)
    assert read_measures(built_dataset.directory, "val") is None
