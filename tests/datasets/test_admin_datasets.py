"""The admin's pages for datasets: the images, straight from the records, and what came of a build."""

import os
from io import BytesIO
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from datasets.admin import gallery
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from tests.support.api_requests import make_account
from tests.support.samples.imagedb_samples import write_28_pixel_digits

pytestmark = pytest.mark.django_db

LIST = "/admin/datasets/dataset/"
HOSTILE = "<script>alert(1)</script>"


def address(name, *args):
    return reverse(f"admin:datasets_dataset_{name}", args=args)


def test_the_list_shows_counts_size_and_images(admin_client, built_dataset):
    page = admin_client.get(LIST).content.decode()
    assert address("strip", built_dataset.pk) in page
    assert all(f">{built_dataset.entries(split)}<" in page for split in ("train", "val"))
    assert "\xa0KB" in page


def test_the_list_asks_a_constant_number_of_queries(
    admin_client, built_dataset, make_dataset, django_assert_num_queries, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12) as few:
        admin_client.get(LIST)
    for number in range(5):
        make_dataset(name=f"dataset {number}")
    with django_assert_num_queries(len(few)):
        admin_client.get(LIST)


def test_a_strip_is_a_picture_of_a_few_images(admin_client, built_dataset):
    answer = admin_client.get(address("strip", built_dataset.pk))
    assert "private, max-age=86400" in answer["Cache-Control"]
    drawn = Image.open(BytesIO(answer.content))
    assert drawn.size == (252, 40)
    assert drawn.convert("L").getextrema() == (0, 255)


@pytest.mark.parametrize("encoding, media_type", [("png", "image/png"), ("jpg", "image/jpeg"), ("none", "image/png")])
def test_an_image_comes_from_its_record(admin_client, make_dataset, encoding, media_type):
    dataset = make_dataset(encoding=encoding, resize_channels=3)
    build_dataset(dataset.pk)
    answer = admin_client.get(address("image", dataset.pk, "val", 3))
    assert answer["Content-Type"] == media_type
    assert Image.open(BytesIO(answer.content)).size == (28, 28)


@pytest.mark.parametrize("split, number", [("train", 100_000), ("test", 0), ("..", 0)])
def test_an_image_that_is_not_there_is_not_found(admin_client, built_dataset, split, number):
    assert admin_client.get(f"{LIST}{built_dataset.pk}/images/{split}/{number}").status_code == 404


def test_the_images_of_a_category_are_those_whose_records_say_so(built_dataset):
    built_dataset.refresh_from_db()
    page = gallery.page(built_dataset, "train", 4, 1)
    reader = RecordReader(built_dataset.directory / "train.rec")
    assert page.images == built_dataset.splits[0]["per_category"][4]
    with reader:
        assert [reader[record][0] for record in page.records] == [4.0] * page.images


def test_no_file_of_a_dataset_stays_open(admin_client, built_dataset):
    for name, args in (("image", ("train", 0)), ("strip", ()), ("images", ())):
        admin_client.get(address(name, built_dataset.pk, *args))
    descriptors = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    assert [path for path in descriptors if f"/{built_dataset.pk}/" in path] == []


def test_images_are_browsed_by_pages(admin_client, built_dataset):
    first = admin_client.get(address("images", built_dataset.pk)).content.decode()
    assert first.count("<figure>") == gallery.A_PAGE
    assert "page 1 of 2" in first
    last = admin_client.get(address("images", built_dataset.pk), {"page": "99"}).content.decode()
    assert last.count("<figure>") == built_dataset.entries("train") - gallery.A_PAGE
    assert "page 2 of 2" in last


def test_a_split_that_is_not_there_can_not_be_browsed(admin_client, built_dataset):
    assert admin_client.get(address("images", built_dataset.pk), {"split": "nowhere"}).status_code == 404


def test_the_page_shows_the_histogram_the_mean_and_what_was_skipped(admin_client, make_dataset, tmp_path):
    folder = write_28_pixel_digits(tmp_path / "digits", categories=3, each=8)
    (folder / "0" / f"{'&lt;'}broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    dataset = make_dataset(folder_train=str(folder))
    build_dataset(dataset.pk)
    page = admin_client.get(address("change", dataset.pk)).content.decode()
    assert 'title="train: 6"' in page
    assert address("mean", dataset.pk) in page
    assert "&amp;lt;broken.png: " in page.partition('id="skipped"')[2].partition("</section>")[0]
    mean = admin_client.get(address("mean", dataset.pk))
    assert Image.open(BytesIO(b"".join(mean.streaming_content))).size == (28, 28)


def test_a_dataset_that_waits_has_a_page_without_images(admin_client, make_dataset):
    page = admin_client.get(address("change", make_dataset().pk))
    assert page.status_code == 200
    assert "Browse all" not in page.content.decode()


def test_the_page_lists_the_models_built_on_it(admin_client, built_dataset, make_model):
    model = make_model(built_dataset, name=HOSTILE)
    page = admin_client.get(address("change", built_dataset.pk)).content.decode()
    assert f"/admin/models_app/trainedmodel/{model.pk}/change/" in page
    assert HOSTILE not in page


def test_names_of_users_and_categories_are_text(admin_client, built_dataset):
    categories = [HOSTILE, *built_dataset.categories[1:]]
    changes = {"name": HOSTILE, "categories": categories, "warnings": [HOSTILE], "error": HOSTILE}
    Dataset.objects.update(status=Status.DONE, **changes)
    for page in (LIST, address("change", built_dataset.pk), address("images", built_dataset.pk)):
        content = admin_client.get(page).content.decode()
        assert HOSTILE not in content
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content


def test_images_are_for_those_who_may_see_the_dataset(built_dataset):
    client = Client()
    client.force_login(make_account("nobody", is_staff=True))
    for name, args in (("image", ("train", 0)), ("strip", ()), ("mean", ()), ("images", ())):
        assert client.get(address(name, built_dataset.pk, *args)).status_code == 403


def test_an_anonymous_visitor_is_sent_to_the_login(client, built_dataset):
    answer = client.get(address("image", built_dataset.pk, "train", 0))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")
