"""The pages of the admin for datasets: the list, the gallery of stored images, and the results of a build."""

import os
from io import BytesIO
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from datasets.contents import gallery
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from tests.support.api_requests import make_account
from tests.support.samples.imagedb_samples import write_28_pixel_digits

pytestmark = pytest.mark.django_db

LIST = "/admin/datasets/dataset/"
HOSTILE = "<script>alert(1)</script>"


def admin_url(name, *args):
    return reverse(f"admin:datasets_dataset_{name}", args=args)


def test_the_admin_list_shows_counts_sizes_and_images(admin_client, built_dataset):
    page = admin_client.get(LIST).content.decode()
    assert admin_url("strip", built_dataset.pk) in page
    assert all(f">{built_dataset.entries(split)}<" in page for split in ("train", "val"))
    assert "\xa0KB" in page


def test_the_admin_list_needs_the_same_number_of_queries_for_more_datasets(
    admin_client, built_dataset, make_dataset, django_assert_num_queries, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12) as first_request:
        admin_client.get(LIST)
    for number in range(5):
        make_dataset(name=f"dataset {number}")
    with django_assert_num_queries(len(first_request)):
        admin_client.get(LIST)


def test_the_strip_of_a_dataset_is_one_image_made_of_several(admin_client, built_dataset):
    response = admin_client.get(admin_url("strip", built_dataset.pk))
    assert "private, max-age=86400" in response["Cache-Control"]
    strip = Image.open(BytesIO(response.content))
    assert strip.size == (252, 40)
    assert strip.convert("L").getextrema() == (0, 255)


@pytest.mark.parametrize("encoding, media_type", [("png", "image/png"), ("jpg", "image/jpeg"), ("none", "image/png")])
def test_the_admin_returns_an_image_in_the_encoding_of_its_record(admin_client, make_dataset, encoding, media_type):
    dataset = make_dataset(encoding=encoding, resize_channels=3)
    build_dataset(dataset.pk)
    response = admin_client.get(admin_url("image", dataset.pk, "val", 3))
    assert response["Content-Type"] == media_type
    assert Image.open(BytesIO(response.content)).size == (28, 28)


@pytest.mark.parametrize("split, number", [("train", 100_000), ("test", 0), ("..", 0)])
def test_a_missing_image_gets_404(admin_client, built_dataset, split, number):
    assert admin_client.get(f"{LIST}{built_dataset.pk}/images/{split}/{number}").status_code == 404


def test_the_gallery_of_a_category_shows_the_records_with_its_label(built_dataset):
    built_dataset.refresh_from_db()
    page = gallery.page(built_dataset, "train", 4, 1)
    reader = RecordReader(built_dataset.directory / "train.rec")
    assert page.images == built_dataset.splits[0]["per_category"][4]
    with reader:
        assert [reader[record][0] for record in page.records] == [4.0] * page.images


def test_the_admin_closes_the_files_of_a_dataset(admin_client, built_dataset):
    for name, args in (("image", ("train", 0)), ("strip", ()), ("images", ())):
        admin_client.get(admin_url(name, built_dataset.pk, *args))
    descriptors = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    assert [path for path in descriptors if f"/{built_dataset.pk}/" in path] == []


def test_the_gallery_splits_many_images_into_pages(admin_client, built_dataset):
    first = admin_client.get(admin_url("images", built_dataset.pk)).content.decode()
    assert first.count("<figure>") == gallery.A_PAGE
    assert "page 1 of 2" in first
    last = admin_client.get(admin_url("images", built_dataset.pk), {"page": "99"}).content.decode()
    assert last.count("<figure>") == built_dataset.entries("train") - gallery.A_PAGE
    assert "page 2 of 2" in last


def test_the_gallery_of_a_missing_split_gets_404(admin_client, built_dataset):
    assert admin_client.get(admin_url("images", built_dataset.pk), {"split": "nowhere"}).status_code == 404


def test_the_admin_page_shows_the_histogram_the_mean_and_the_skipped_files(admin_client, make_dataset, tmp_path):
    folder = write_28_pixel_digits(tmp_path / "digits", categories=3, each=8)
    (folder / "0" / f"{'&lt;'}broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    dataset = make_dataset(folder_train=str(folder))
    build_dataset(dataset.pk)
    page = admin_client.get(admin_url("change", dataset.pk)).content.decode()
    assert 'title="train: 6"' in page
    assert admin_url("mean", dataset.pk) in page
    assert "&amp;lt;broken.png: " in page.partition('id="skipped"')[2].partition("</section>")[0]
    mean = admin_client.get(admin_url("mean", dataset.pk))
    assert Image.open(BytesIO(b"".join(mean.streaming_content))).size == (28, 28)


def test_the_admin_page_of_a_waiting_dataset_shows_no_images(admin_client, make_dataset):
    page = admin_client.get(admin_url("change", make_dataset().pk))
    assert page.status_code == 200
    assert "Browse all" not in page.content.decode()


def test_the_admin_page_lists_the_models_of_a_dataset(admin_client, built_dataset, make_model):
    model = make_model(built_dataset, name=HOSTILE)
    page = admin_client.get(admin_url("change", built_dataset.pk)).content.decode()
    assert f"/admin/models_app/trainedmodel/{model.pk}/change/" in page
    assert HOSTILE not in page


def test_the_admin_escapes_names_of_datasets_and_categories(admin_client, built_dataset):
    categories = [HOSTILE, *built_dataset.categories[1:]]
    changes = {"name": HOSTILE, "categories": categories, "warnings": [HOSTILE], "error": HOSTILE}
    Dataset.objects.update(status=Status.DONE, **changes)
    for page in (LIST, admin_url("change", built_dataset.pk), admin_url("images", built_dataset.pk)):
        text = admin_client.get(page).content.decode()
        assert HOSTILE not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_images_get_403_without_the_permission_to_see_the_dataset(built_dataset):
    client = Client()
    client.force_login(make_account("nobody", is_staff=True))
    for name, args in (("image", ("train", 0)), ("strip", ()), ("mean", ()), ("images", ())):
        assert client.get(admin_url(name, built_dataset.pk, *args)).status_code == 403


def test_images_redirect_an_anonymous_visitor_to_the_login(client, built_dataset):
    response = client.get(admin_url("image", built_dataset.pk, "train", 0))
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")
