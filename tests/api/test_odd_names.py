"""Names that are no UTF-8, or that two categories share, on their way through the API."""

import io
import os
import shutil

import pytest

from datasets.tasks import build_dataset
from tests.support.samples.row_samples import add_snapshot, image_list

pytestmark = pytest.mark.django_db
CLASSIFY = "/models/images/classification"


@pytest.fixture(autouse=True)
def _open_server(settings, tmp_path, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [tmp_path, digits_folder]


@pytest.fixture
def samba(tmp_path, digits_folder):
    """Two digits, half of whose images have a name in Latin-1."""
    for digit in ("0", "1"):
        shutil.copytree(digits_folder / digit, tmp_path / "samba" / digit)
        for number in range(6):
            image = tmp_path / "samba" / digit / f"{number}.png"
            image.rename(os.fsdecode(os.fsencode(image.parent) + b"/caf\xe9 %d.png" % number))
    return tmp_path / "samba"


@pytest.fixture
def model_on(make_dataset, make_model):
    """A model with a snapshot, on a dataset of this folder whose categories are called so afterwards."""

    def model_on(folder, categories=()):
        dataset = make_dataset(folder_train=str(folder), folder_pct_val=50)
        build_dataset(dataset.pk)
        dataset.refresh_from_db()
        if categories:
            dataset.categories = list(categories)
            dataset.save(update_fields=["categories"])
        model = make_model(dataset)
        add_snapshot(model, 1, seed=1)
        return model

    return model_on


@pytest.mark.parametrize("route", ["classify_many", "top_n"])
def test_the_val_txt_that_a_build_wrote_is_taken_whatever_bytes_are_in_a_name(client, samba, model_on, route):
    model = model_on(samba)
    own = (model.dataset.directory / "val.txt").read_bytes()
    assert b"\xe9" in own
    answer = client.post(f"{CLASSIFY}/{route}.json", {"job_id": model.pk, "image_list": io.BytesIO(own)})
    assert (answer.status_code, answer["X-Digits-Skipped"]) == (200, "0")
    assert answer.content.decode().count(r"/caf\\xe9 ") >= own.count(b"\xe9")


def test_every_image_with_such_a_name_has_an_answer_of_its_own(client, samba, model_on):
    model = model_on(samba)
    own = (model.dataset.directory / "val.txt").read_bytes()
    answer = client.post(f"{CLASSIFY}/classify_many.json", {"job_id": model.pk, "image_list": io.BytesIO(own)})
    shown = {line.rsplit(b" ", 1)[0].decode("utf-8", "backslashreplace") for line in own.splitlines()}
    assert set(answer.json()["classifications"]) == shown


def test_a_list_of_no_text_is_refused(client, samba, model_on):
    model = model_on(samba)
    listed = io.BytesIO(b"/a.png\n\xff\xd8\xff\xe0\0\x10JFIF")
    answer = client.post(f"{CLASSIFY}/classify_many.json", {"job_id": model.pk, "image_list": listed})
    assert answer.status_code == 400
    assert answer.json()["error"]["description"] == "Line 2 of image_list is not UTF-8 text."


@pytest.mark.parametrize(
    "name, why",
    [
        (r"C:\data\1.png", "it is a path of Windows. Write the path that the file has on the server"),
        ("~/1.png", "it begins with ~, which only a shell knows."),
    ],
)
def test_a_path_that_can_not_be_one_of_the_server_is_called_what_it_is(client, samba, model_on, name, why):
    model = model_on(samba)
    fields = {"job_id": model.pk, "image_list": io.BytesIO(image_list(name)), "image_folder": str(samba)}
    answer = client.post(f"{CLASSIFY}/classify_many.json", fields)
    assert answer.status_code == 400
    assert why in answer.json()["error"]["description"]


@pytest.fixture
def cranes(digits_folder, model_on):
    """A model on an older dataset, two of whose categories have one name."""
    return model_on(digits_folder, ["crane", "tea", "crane", *"3456789"])


def test_an_older_dataset_with_two_categories_of_one_name_loses_no_answer(client, cranes, digits_folder, settings):
    image = {"job_id": cranes.pk, "image_path": str(digits_folder / "2" / "0.png")}
    predictions = client.post(f"{CLASSIFY}/classify_one.json", image).json()["predictions"]
    assert len(predictions) == 5
    listed = io.BytesIO(image_list(digits_folder / "0" / "0.png", digits_folder / "2" / "0.png"))
    tops = client.post(f"{CLASSIFY}/top_n.json", {"job_id": cranes.pk, "image_list": listed}).json()
    named = next(iter(tops.values()))
    assert list(named)[:3] == ["crane", "tea", "crane (2)"]
