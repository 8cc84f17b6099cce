"""File names that are not UTF-8, category names that occur twice and names that look like JSON."""

import io
import json
import os
import shutil

import pytest

from datasets.tasks import build_dataset
from digits_project.api.renderers import PrettyJSONRenderer
from tests.support.samples.row_samples import add_snapshot, image_list

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CLASSIFY = "/models/images/classification"


@pytest.fixture
def latin_1_names(tmp_path, digits_folder):
    """A folder of two digits; half of the images of each have a name in Latin-1."""
    for digit in ("0", "1"):
        shutil.copytree(digits_folder / digit, tmp_path / "samba" / digit)
        for number in range(6):
            image = tmp_path / "samba" / digit / f"{number}.png"
            image.rename(os.fsdecode(os.fsencode(image.parent) + b"/caf\xe9 %d.png" % number))
    return tmp_path / "samba"


@pytest.fixture
def model_on(make_dataset, make_model):
    """A function that returns a model with a snapshot, on a dataset of a folder; its categories can be renamed."""

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
def test_the_val_txt_of_a_dataset_is_accepted_with_file_names_that_are_not_utf_8(
    client, latin_1_names, model_on, route
):
    model = model_on(latin_1_names)
    val_txt = (model.dataset.directory / "val.txt").read_bytes()
    assert b"\xe9" in val_txt
    response = client.post(f"{CLASSIFY}/{route}.json", {"job_id": model.pk, "image_list": io.BytesIO(val_txt)})
    assert (response.status_code, response["X-Digits-Skipped"]) == (200, "0")
    assert response.content.decode().count(r"/caf\\xe9 ") >= val_txt.count(b"\xe9")


def test_every_image_has_a_classification_if_file_names_are_not_utf_8(client, latin_1_names, model_on):
    model = model_on(latin_1_names)
    val_txt = (model.dataset.directory / "val.txt").read_bytes()
    response = client.post(f"{CLASSIFY}/classify_many.json", {"job_id": model.pk, "image_list": io.BytesIO(val_txt)})
    shown = {line.rsplit(b" ", 1)[0].decode("utf-8", "backslashreplace") for line in val_txt.splitlines()}
    assert set(response.json()["classifications"]) == shown


def test_an_image_list_that_is_no_text_is_rejected(client, latin_1_names, model_on):
    model = model_on(latin_1_names)
    upload = io.BytesIO(b"/a.png\n\xff\xd8\xff\xe0\0\x10JFIF")
    response = client.post(f"{CLASSIFY}/classify_many.json", {"job_id": model.pk, "image_list": upload})
    assert response.status_code == 400
    assert response.json()["error"]["description"] == "Line 2 of image_list is not UTF-8 text."


@pytest.mark.parametrize(
    "name, message",
    [
        (r"C:\data\1.png", "it is a Windows path. Write the path that the file has on the server"),
        ("~/1.png", "it begins with ~, which only a shell understands."),
    ],
)
def test_a_windows_or_home_path_in_an_image_list_is_explained(client, latin_1_names, model_on, name, message):
    model = model_on(latin_1_names)
    fields = {"job_id": model.pk, "image_list": io.BytesIO(image_list(name)), "image_folder": str(latin_1_names)}
    response = client.post(f"{CLASSIFY}/classify_many.json", fields)
    assert response.status_code == 400
    assert message in response.json()["error"]["description"]


@pytest.fixture
def repeated_category_model(digits_folder, model_on):
    """A model on an old dataset in which two categories have the same name."""
    return model_on(digits_folder, ["crane", "tea", "crane", *"3456789"])


def test_an_old_dataset_with_a_repeated_category_name_keeps_all_predictions(
    client, repeated_category_model, digits_folder
):
    image = {"job_id": repeated_category_model.pk, "image_path": str(digits_folder / "2" / "0.png")}
    predictions = client.post(f"{CLASSIFY}/classify_one.json", image).json()["predictions"]
    assert len(predictions) == 5
    upload = io.BytesIO(image_list(digits_folder / "0" / "0.png", digits_folder / "2" / "0.png"))
    top_n = client.post(f"{CLASSIFY}/top_n.json", {"job_id": repeated_category_model.pk, "image_list": upload}).json()
    categories = next(iter(top_n.values()))
    assert list(categories)[:3] == ["crane", "tea", "crane (2)"]


# --- the JSON of tables, which the renderer writes by itself ---------------------------------------------------------
NAMES_IN_JSON = ("plain", "a\nb", "},\n      {", '"},\n      {"', "\\", "Käse 中文", "\u2028\u2029", "", "{}", "[]")
TABLE = [{"id": str(number), "name": name, "count": number} for number, name in enumerate(NAMES_IN_JSON)]
SAMPLES = {
    "one table": {"datasets": TABLE},
    "two tables": {"datasets": TABLE, "models": TABLE[:1]},
    "an empty list beside a table": {"datasets": [], "models": TABLE},
    "other values beside a table": {"name": "a\nb", "nested": {"deep": [1, {"x": []}]}, "rows": TABLE, "none": None},
    "rows with nested values": {"rows": [{"id": 1, "labels": ["a", "b"]}, {"id": 2, "labels": []}]},
    "an empty row": {"rows": [{}, {"id": 1}]},
    "numbers and truth values": {"rows": [{"a": 1.5, "b": True, "c": None, "d": -1e300, "e": 2**70}]},
    "keys with quotes": {'a "b"': [{'c\n"d"': 1}]},
    "numbers as keys": {1: [{2: "x"}]},
    "a list": TABLE,
}


@pytest.mark.parametrize("data", SAMPLES.values(), ids=list(SAMPLES))
def test_the_renderer_writes_the_bytes_of_json_dumps(data):
    expected = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    expected = expected.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    assert PrettyJSONRenderer().render(data).decode() == expected


def test_a_number_that_json_cannot_write_in_a_table_is_refused():
    with pytest.raises(ValueError, match="Out of range float values"):
        PrettyJSONRenderer().render({"rows": [{"loss": float("nan")}]})
