"""Pages, schema, docs, the archive's help and messages name the formats that are read, from one list."""

from pathlib import Path

import pytest

from datasets.imagedb.images.formats import ACCEPTED, FORMATS, READABLE
from datasets.imagedb.readers.folder import no_images
from tests.support.samples.row_samples import add_snapshot, with_categories

LIST = "PNG, JPEG, BMP, PPM (P5, P6), WebP, HEIC, AVIF or TIFF"


def test_the_list_is_that_of_the_formats():
    assert READABLE == LIST
    assert f"An image is a {LIST} file." in no_images(Path("/images"))


def test_the_docs_name_every_format():
    assert f"An image is a {LIST} file" in " ".join(Path("docs/api.md").read_text().split())


@pytest.mark.django_db
def test_the_schema_names_every_format(client, settings):
    settings.DIGITS_AUTH = "open"
    assert f"The image, as an upload: a {LIST} file." in client.get("/api/schema").content.decode()


@pytest.mark.django_db
def test_the_page_of_a_model_lets_a_browser_choose_every_format(admin_client, make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, 1, 1)
    page = admin_client.get(f"/admin/models_app/trainedmodel/{model.pk}/change/").content.decode()
    assert f'name="image_file" accept="{ACCEPTED}"' in page
    assert all(suffix in ACCEPTED for known in FORMATS for suffix in known.suffixes)
