"""The pages of datasets without a browser: form, preview, folders of the server, dataset, images."""

import pytest
from django.urls import reverse

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from digits_project.received import received_file
from tests.support.api_requests import make_account
from tests.support.samples.archive_samples import digit_files, tar_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
FORM = "/datasets/images/classification"


@pytest.fixture
def page(client):
    """A function that returns the text of a page, with the blanks between its words as one each."""

    def page(path, status=200, **posted):
        headers = {"Accept": "text/html"}
        response = client.post(path, posted, headers=headers) if posted else client.get(path, headers=headers)
        assert response.status_code == status, response.content.decode()
        return " ".join(response.content.decode().split())

    return page


def received(content):
    upload = received_file.begin("", len(content), "pets")
    upload.content.write_bytes(content)
    return upload


def test_the_form_page_has_every_field_once(client, page):
    names = client.get(f"{FORM}.json").json()["defaults"]
    text = page(FORM)
    once = {name: text.count(f'name="{name}"') for name in names if name != "method"}
    flags = {name for name in once if f'type="checkbox" value="true" id="id_{name}"' in text}
    assert {name: count for name, count in once.items() if count != 1 + (name in flags)} == {}


def test_an_empty_form_asks_for_images(page):
    text = page(FORM, 400, dataset_name="digits")
    assert "Choose images: a folder or an archive of this computer, or a folder of the server." in text
    assert "This field is required" not in text


def test_a_refused_form_keeps_the_upload_and_what_was_typed(page):
    upload = received(tar_of(digit_files()))
    text = page(FORM, 400, dataset_name="digits", upload_train=upload.key, resize_width="0", resize_mode="fill")
    assert f'name="upload_train" value="{upload.key}"' in text
    assert '<option value="fill" selected>' in text
    assert 'value="0"' in text
    assert upload.is_complete


def test_the_preview_of_an_upload_shows_categories_splits_and_resize_modes(page):
    upload = received(tar_of(digit_files("pets/", counts=(12, 4))))
    text = page(reverse("dataset-preview"), upload_train=upload.key, folder_pct_val="50", resize_width="16")
    assert "16 images in 2 categories" in text
    assert text.count('width="48" height="48"') == 9 + 4
    assert "8 to train on" in text
    assert "8 to validate with" in text
    assert [f"<b>{mode}</b>" in text for mode in ("crop", "squash", "fill", "half_crop")] == [True] * 4
    assert "Stored at 16 × 256 pixels" in text
    assert 'data-width="8" data-height="8" data-channels="1"' in text


def test_the_preview_of_a_folder_says_what_would_be_left_out(page, tmp_path, digits_folder):
    for category in ("3", "7"):
        (tmp_path / category).symlink_to(digits_folder / category)
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "only.png").write_bytes((digits_folder / "9" / "0.png").read_bytes())
    (tmp_path / "9" / "broken.png").write_text("no image")
    text = page(reverse("dataset-preview"), folder_train=str(tmp_path), resize_height="wrong")
    assert "Left out, because they have too few images: 9." in text
    assert "1 file would be skipped" in text
    assert "broken.png: its content is not that of a" in text


@pytest.mark.parametrize("fields", [{"folder_train": "/nosuch"}, {"upload_train": "0" * 32}])
def test_the_preview_of_nothing_says_why(page, fields):
    assert 'class="alert alert-error"' in page(reverse("dataset-preview"), **fields)


def test_the_folder_browser_stays_in_the_data_roots(page, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path / "data"]
    (tmp_path / "data" / "pets").mkdir(parents=True)
    (tmp_path / "data" / "out").symlink_to(tmp_path)
    (tmp_path / "data" / "pets.zip").touch()
    text = page(reverse("dataset-folders"))
    assert f'data-open="{tmp_path}/data/pets"' in text
    assert f'data-use="{tmp_path}/data/pets.zip"' in text
    assert "out" not in text.split("<ul")[1]
    assert "is not in a folder that this server may read" in page(reverse("dataset-folders") + f"?path={tmp_path}")


def test_the_page_of_a_dataset_shows_its_images_categories_and_mean(page, built_dataset, make_model):
    model = make_model(built_dataset)
    text = page(f"/datasets/{built_dataset.pk}")
    assert "Train a model on this" in text
    assert text.count("/thumbnail?v=") == 24
    assert text.count('<rect class="split-train"') == 10
    assert reverse("dataset-mean", args=[built_dataset.pk]) in text
    assert model.name in text


def test_the_images_of_a_dataset_are_found_by_split_category_and_path(page, client, built_dataset):
    address = f"/datasets/{built_dataset.pk}/images"
    images = client.get(f"{address}.json?split=val&category=3").json()
    assert {image["category"] for image in images["images"]} == {"3"}
    assert images["count"] == built_dataset.splits[1]["per_category"][3]
    found = client.get(f"{address}.json?text=/7/0.PNG").json()["images"]
    assert [image["category"] for image in found] == ["7"]
    assert "No image matches" in page(f"{address}?text=nosuch")
    assert client.get(f"{address}?split=nosuch").status_code == 404
    assert client.get(f"{address}?page=x").status_code == 400


def test_an_image_has_a_path_and_neighbours(client, built_dataset):
    category = client.get(f"/datasets/{built_dataset.pk}/images.json?category=3").json()
    records = [image["record"] for image in category["images"]]
    image = client.get(f"/datasets/{built_dataset.pk}/images/train/{records[1]}.json?category=3").json()
    assert (image["before"], image["after"], image["place"]) == (records[0], records[2], 2)
    assert "/3/" in image["path"]
    assert (image["width"], image["bytes"] > 50) == (28, True)
    for route in ("dataset-picture", "dataset-thumbnail"):
        picture = client.get(reverse(route, args=[built_dataset.pk, "train", records[1]]))
        assert picture.headers["Content-Type"] == "image/png"
    assert client.get(reverse("dataset-picture", args=[built_dataset.pk, "train", 10_000])).status_code == 404


def test_a_dataset_in_error_offers_only_what_can_succeed(page, client, django_capture_on_commit_callbacks, tmp_path):
    upload = received(tar_of([*digit_files().items(), ("../evil.png", b"")]))
    with django_capture_on_commit_callbacks(execute=True):
        client.post(FORM, {"dataset_name": "evil", "upload_train": upload.key})
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    text = page(f"/datasets/{dataset.pk}")
    assert "leads out of the archive" in text
    assert "Train a model" not in text
    assert "Try again" not in text
    Dataset.objects.update(status=Status.ERROR, archive_train="", folder_train=str(tmp_path))
    assert "Try again" in page(f"/datasets/{dataset.pk}")


def test_a_viewer_sees_datasets_and_no_form_to_make_one(page, client, settings, built_dataset):
    settings.DIGITS_AUTH = "required"
    client.force_login(make_account("vera", "viewer"))
    text = page(FORM)
    assert ("may look at datasets" in text, "new_dataset.js" in text) == (True, False)
    assert "Delete" not in page(f"/datasets/{built_dataset.pk}").split("<main")[1].split("</main")[0]
    page(reverse("dataset-preview"), 403, folder_train="/tmp")
