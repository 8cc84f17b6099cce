"""The map of a dataset's images and the images that resemble one: how good they are, as JSON and pages, and what is
refused."""

import json

import numpy as np
import pytest

from datasets import reports
from datasets.contents.image_map import ImageMap
from datasets.models import Dataset, DatasetReport
from datasets.report.image_map import layout, map_files
from datasets.report.vectors import feature_network
from datasets.tasks import make_report
from digits_project.common.errors import Gone
from digits_project.jobs import lifecycle, services
from digits_project.jobs.models import Status
from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}
CHANCE = 0.1  # of ten digits


@pytest.fixture
def report(built_dataset):
    """The report on a dataset of digits."""
    make_report(reports.start(built_dataset, "ada").pk)
    return DatasetReport.objects.get()


def same_category_nearby(places, categories, count=5):
    """The share of the `count` nearest images of each that have its category."""
    apart = ((places[:, np.newaxis] - places) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1)[:, :count]
    return (categories[nearest] == categories[:, np.newaxis]).mean()


def test_digits_lie_among_their_like_and_similar_ones_have_their_category(report, client):
    address = f"/datasets/{report.dataset_id}/report"
    found = client.get(f"{address}/map.json").json()
    points = {name: np.array(values) for name, values in found["points"].items()}
    places = np.stack([points["x"], points["y"]], axis=1)
    assert (found["images"], found["shown"], len(places)) == (120, 120, 120)
    assert np.abs(places).max() == 1
    assert same_category_nearby(places, points["category"]) > 5 * CHANCE
    assert (points["likelier"] == points["category"]).mean() == pytest.approx(
        report.summary["probe_accuracy"], abs=1e-4
    )

    lines = (report.dataset.directory / "train.txt").read_text().splitlines()
    labels = [int(line.rpartition(" ")[2]) for line in lines]
    of_train = points["split"] == found["splits"].index("train")
    assert [labels[record] for record in points["record"][of_train]] == points["category"][of_train].tolist()

    right = []
    for record in range(0, len(labels), 4):
        like = client.get(f"{address}/similar.json?image=train/{record}&count=5").json()
        assert like["image"] == {"split": "train", "record": record, "category": str(labels[record])}
        cosines = [image["similarity"] for image in like["similar"]]
        assert cosines == sorted(cosines, reverse=True)
        assert ("train", record) not in [(image["split"], image["record"]) for image in like["similar"]]
        assert all(image["other_split"] == (image["split"] != "train") for image in like["similar"])
        right += [not image["other_category"] for image in like["similar"]]
    assert np.mean(right) > 5 * CHANCE


def test_the_map_of_the_same_images_is_the_same_and_is_gone_with_its_report(report):
    folder = report.dataset.report_directory
    before = [path.read_bytes() for path in sorted(folder.glob("map*.npy"))]
    vectors = np.load(folder / "map_vectors.npy")
    assert (vectors.shape, vectors.dtype) == ((120, map_files.SIZE), np.float16)
    assert not (folder / "vectors").exists()
    assert Dataset.objects.get().disk_bytes is None  # it is measured again, with the map
    services.delete(report)
    assert not folder.exists()
    make_report(reports.start(report.dataset, "ada").pk)
    assert [path.read_bytes() for path in sorted(folder.glob("map*.npy"))] == before
    image_map = ImageMap(DatasetReport.objects.get())
    services.delete(report.dataset)
    with pytest.raises(Gone):
        image_map.similar("train", 0, 3)


def test_a_map_has_some_images_of_each_category_and_pages_mark_other_categories_and_splits(report, client):
    address = f"/datasets/{report.dataset_id}/report/map"
    few = client.get(f"{address}.json?count=20").json()
    assert (few["images"], few["shown"]) == (120, 20)
    assert set(few["points"]["category"]) == set(range(10))
    of_three = client.get(f"{address}.json?category=3").json()
    assert (of_three["images"], set(of_three["points"]["category"])) == (12, {3})
    page = client.get(f"{address}?count=20", headers=BROWSER).content.decode()
    assert "20 of 120 images" in page
    assert "Most often taken for" in page

    address = f"/datasets/{report.dataset_id}/report/similar"
    found = client.get(f"{address}.json?image=train/0&count=60").json()["similar"]
    page = client.get(f"{address}?image=train/0&count=60", headers=BROWSER).content.decode()
    assert page.count(">other category<") == sum(image["other_category"] for image in found) > 0
    assert page.count(">val<") == sum(image["other_split"] for image in found) > 0
    assert (
        f"{address}?image=train/0"
        in client.get(f"/datasets/{report.dataset_id}/images/train/0", headers=BROWSER).content.decode()
    )


def test_wrong_images_and_numbers_are_refused_with_what_was_wrong(report, client):
    def refused(query):
        response = client.get(f"/datasets/{report.dataset_id}/report/similar.json?{query}")
        return response.status_code, response.content.decode()

    for query, status, text in [
        ("image=train/90000", 404, "There is no image 90000 in train; there are 90"),
        ("image=test/0", 404, "There is no split test; there are train, val"),
        ("image=train", 400, "train/17"),
        ("image=train/-1", 400, "train/17"),
        ("image=../train/1", 404, "There is no split ../train"),
        ("image=train/1&count=0", 400, "count"),
        ("image=train/1&count=101", 400, "count"),
        ("", 400, "image"),
    ]:
        assert refused(query)[0] == status, query
        assert text in refused(query)[1], query
    address = f"/datasets/{report.dataset_id}/report/map.json"
    assert client.get(f"{address}?count=20001").status_code == 400
    response = client.get(f"{address}?category=10")
    assert response.status_code == 404
    assert "no category 10; its categories have the numbers 0 to 9" in response.content.decode()
    Dataset.objects.update(categories=[])  # as of a generic dataset
    assert "its images have no categories" in client.get(f"{address}?category=0").content.decode()


def test_without_a_usable_map_both_routes_say_why(built_dataset, client, monkeypatch, settings):
    def why():
        addresses = ("report/map.json", "report/similar.json?image=train/1")
        responses = [client.get(f"/datasets/{built_dataset.pk}/{address}") for address in addresses]
        [response] = {(response.status_code, json.dumps(response.json())) for response in responses}
        return response

    assert why()[0] == 404
    assert "no report on" in why()[1]
    report = reports.start(built_dataset, "ada")
    lifecycle.advance(report, Status.RUNNING)
    assert why()[0] == 409
    assert "The report is Running" in why()[1]
    lifecycle.advance(report, Status.ABORTED)
    monkeypatch.setattr(feature_network, "_registered", [])
    make_report(reports.start(built_dataset, "ada").pk)
    assert why()[0] == 409
    assert "no network for features is registered" in why()[1]
    report = DatasetReport.objects.get()
    report.summary |= {"network": "of another time", "format": 1}
    report.save(update_fields=["summary"])
    assert why()[0] == 409
    assert "An earlier version" in why()[1]
    report.summary |= {"format": reports.FORMAT}
    report.save(update_fields=["summary"])
    assert why()[0] == 409
    assert f"{built_dataset.pk}/report can't be read" in why()[1]
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    client.force_login(make_account("ugo", "user"))
    assert why() == (404, why()[1])
    assert "Job not found" in why()[1]


def test_a_layout_of_few_or_equal_images_is_finite():
    def laid_out(vectors):
        sample = layout.sample_of(len(vectors))
        blocks = [(0, vectors)]
        return layout.lay_out(vectors[sample], sample, len(vectors), lambda: iter(blocks), lambda fraction: None)

    random = np.random.default_rng(0).normal(size=(7, map_files.SIZE)).astype(np.float32)
    for vectors in (
        random[:1],
        random[:2],
        random[:4],
        random,
        np.zeros((9, 3), np.float32),
        np.repeat(random, 9, axis=0),
    ):
        places = laid_out(map_files.unit(vectors))
        assert np.isfinite(places).all()
        assert np.abs(places).max() <= 1


def test_images_that_are_not_in_the_sample_lie_beside_their_like(monkeypatch):
    monkeypatch.setattr(layout, "SAMPLE", 60)
    random = np.random.default_rng(0)
    categories = np.repeat(np.arange(5), 40)
    vectors = map_files.unit(random.normal(size=(5, 16))[categories] + random.normal(scale=0.3, size=(200, 16)))
    sample = layout.sample_of(200)
    blocks = [(first, vectors[first : first + 64]) for first in range(0, 200, 64)]
    places = layout.lay_out(vectors[sample], sample, 200, lambda: iter(blocks), lambda fraction: None)
    assert same_category_nearby(places, categories) > 0.95
