"""The fields of augmentation, and the preview of what a training sees: routes, sheet, page and command."""

import io
import json
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from PIL import Image

from datasets.imagedb.images.resize import InputResize
from digits_project.jobs.models import Status
from models_app.augment_preview.contact_sheet import COLUMNS, GAP
from models_app.models import TrainedModel
from models_app.training.augmentation.augmenter import open_augmenter
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.data.batch_reader import batches_per_epoch, training_batches
from models_app.training.data.crops import layout_of
from models_app.training.data.pixels import open_images
from models_app.training_task import train_config
from tests.support.api_requests import field_errors
from tests.support.samples.augmentation_samples import EVERYTHING, HSV
from tests.support.samples.network_samples import REGRESSION
from tests.support.samples.row_samples import as_generic, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]

CREATE = "/models/images/classification.json"
# DIGITS's fields, each with a value that changes images.
SENT = {
    "aug_flip": "fliplrud", "aug_quad_rot": "rotall", "aug_rot": "30", "aug_scale": "0.07", "aug_noise": "0.03",
    "aug_contrast": "0.8", "aug_whitening": "y", "aug_hsv_use": "y", "aug_hsv_h": "0.02", "aug_hsv_s": "0.04",
    "aug_hsv_v": "0.06",
}  # fmt: skip
MODERN = {
    "aug_crop_scale": 0.25, "aug_crop_ratio": 1.5, "aug_policy": "light", "aug_magnitude": 5, "random_erasing": 0.25,
    "mixup": 0.2, "cutmix": 1, "label_smoothing": 0.1,
}  # fmt: skip


def test_the_eleven_fields_of_digits_are_stored(client, form, make_dataset):
    response = client.post(CREATE, form(dataset=make_dataset(resize_channels=3).pk, **SENT))
    assert (response.status_code, response.headers.get("X-Digits-Ignored")) == (200, None)
    stored = Augmentation.of(TrainedModel.objects.get())
    assert stored == Augmentation(
        aug_flip="fliplrud", aug_quad_rot="rotall", aug_rot=30, aug_scale=0.07, aug_noise=0.03, aug_contrast=0.8,
        aug_whitening=True, aug_hsv_use=True,
    )  # fmt: skip


def test_the_other_fields_of_augmentation_are_stored(client, form):
    assert client.post(CREATE, form(**MODERN), content_type="application/json").status_code == 200
    assert Augmentation.of(TrainedModel.objects.get()) == Augmentation(**MODERN)


def test_a_model_without_fields_of_augmentation_has_none(client, form):
    client.post(CREATE, form())
    assert Augmentation.of(TrainedModel.objects.get()) == Augmentation()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"aug_flip": "banana"}, "not a valid choice"),
        ({"aug_quad_rot": "rot45"}, "not a valid choice"),
        ({"aug_rot": "181"}, "less than or equal to 180"),
        ({"aug_scale": "1.1"}, "less than or equal to 1"),
        ({"aug_noise": "-0.1"}, "greater than or equal to 0"),
        ({"aug_contrast": "5.5"}, "less than or equal to 5"),
        ({"aug_hsv_h": "0.6"}, "less than or equal to 0.5"),
        ({"aug_policy": "heavy"}, "not a valid choice"),
        ({"aug_magnitude": "31"}, "less than or equal to 30"),
        ({"label_smoothing": "1"}, "less than 1"),
        ({"mixup": "nan"}, "valid number"),
        ({"aug_hsv_use": "on"}, "needs images of red, green and blue; these have 1 channels"),
    ],
)
def test_a_value_that_cannot_be_followed_is_refused_by_name(client, form, fields, message):
    errors = field_errors(client.post(CREATE, form(**fields)))
    assert list(errors) == list(fields)
    assert message in errors[next(iter(fields))]
    assert not TrainedModel.objects.exists()


def test_quarter_turns_of_images_that_are_not_square_are_refused(client, form, make_dataset):
    dataset = make_dataset(resize_width=28, resize_height=20)
    errors = field_errors(client.post(CREATE, form(dataset=dataset.pk, aug_quad_rot="rot90")))
    assert "must be square; these are 28×20; rot180 is possible" in errors["aug_quad_rot"]


@pytest.mark.parametrize("name", ["mixup", "cutmix", "label_smoothing"])
def test_labels_of_generic_datasets_are_not_mixed(client, make_dataset, name):
    dataset = as_generic(make_dataset())
    fields = {"model_name": "m", "dataset": dataset.pk, "method": "custom", "custom_network": REGRESSION, name: "0.5"}
    assert field_errors(client.post("/models/images/generic.json", fields))[name] == (
        "Its dataset is generic, so its images have no categories."
    )


# --- the preview -----------------------------------------------------------------------------------------------------
@pytest.fixture
def dataset(make_built):
    """A dataset of digits in colour that is Done."""
    return make_built(resize_channels=3, resize_width=24, resize_height=24)


def preview_of(client, job, kind="datasets", **query):
    """The facts of a preview, and its images, uint8 C×H×W, cut out of the sheet."""
    facts = client.get(f"/{kind}/{job.pk}/augment_preview.json", query)
    assert facts.status_code == 200, facts.content
    facts = facts.json()
    sheet = client.get(facts["sheet"])
    assert sheet.headers["Content-Type"] == "image/png"
    pixels = np.asarray(Image.open(io.BytesIO(sheet.content)))
    pixels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
    height, width = facts["height"], facts["width"]
    cut = [pixels[:, i["top"] : i["top"] + height, i["left"] : i["left"] + width] for i in facts["images"]]
    return facts, cut


def batches_of_epoch(config, epoch):
    """All images and labels of an epoch, from 1, as the trainer reads them."""
    network = config.trained_network()
    layout = layout_of(network, config.image_shape, 10, config.resize)
    augmenter = open_augmenter(config, network, layout, config.random_seed, threads=2)
    images = open_images(Path(config.train_records), layout, threads=2, tick=lambda: None)
    per_epoch = batches_per_epoch(len(images), config.batch_size)
    reading = training_batches(images, config.batch_size, config.random_seed, per_epoch * (epoch - 1), augmenter)
    with closing(images), closing(reading):
        found = [(batch.images.copy(), batch.labels.copy()) for batch in islice(reading, per_epoch)]
    return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize(
    "fields", [EVERYTHING | HSV, {"aug_policy": "light", "label_smoothing": 0.1}, {"aug_rot": 30.0}, {}]
)
def test_the_preview_of_a_model_shows_the_pixels_of_its_training(client, dataset, make_model, cpu, epoch, fields):
    model = make_model(dataset, standard_network="resnet18", crop_size=20, batch_size=7, **fields)
    facts, shown = preview_of(client, model, "models", epoch=epoch, category="3")
    config = train_config(model, [cpu])
    pixels, labels = batches_of_epoch(config, epoch)
    assert len(shown) == 9
    assert (facts["category"], facts["random_seed"]) == ("3", model.random_seed)
    for image, seen in zip(shown, facts["images"], strict=True):
        assert np.array_equal(image, pixels[seen["position"]])
        expected = labels[seen["position"]]
        shares = expected if expected.ndim else np.eye(10)[int(expected)]
        assert seen["labels"] == pytest.approx({str(n): s for n, s in enumerate(shares) if s}, abs=1e-6)


@pytest.mark.parametrize("sizes", [{"crop_size": 20}, {"crop_size": 20, "input_size": 32}, {"input_size": 16}])
def test_the_preview_of_a_dataset_shows_what_a_model_with_these_settings_sees(client, dataset, make_model, sizes):
    settings = EVERYTHING | HSV
    model = make_model(dataset, standard_network="resnet18", batch_size=7, random_seed=5, **sizes, **settings)
    _, expected = preview_of(client, model, "models", epoch=2, category="7")
    sent = {name: value for name, value in settings.items() if name != "aug_whitening"}
    sent |= {"standard_networks": "resnet18", "batch_size": 7, "random_seed": 5, **sizes}
    _, shown = preview_of(client, dataset, epoch=2, category="7", **sent)
    assert all(np.array_equal(*pair) for pair in zip(shown, expected, strict=True))


def test_the_preview_scales_images_without_a_network_too(client, dataset):
    facts, shown = preview_of(client, dataset, input_size=32, crop_size=24)
    assert (facts["width"], facts["height"]) == (32, 32)
    _, stored = preview_of(client, dataset)
    expected = [InputResize(24, 32, "bilinear").scaled(image) for image in stored]
    assert all(np.array_equal(*pair) for pair in zip(shown, expected, strict=True))


def test_without_settings_the_preview_shows_the_images_of_the_dataset(client, dataset):
    facts, shown = preview_of(client, dataset)
    lines = (dataset.directory / "train.txt").read_text().splitlines()
    numbers = [number for number, line in enumerate(lines) if line.endswith(" 0")][:9]
    assert [seen["record"] for seen in facts["images"]] == numbers
    assert [seen["labels"] for seen in facts["images"]] == [{"0": 1.0}] * 9
    [first] = preview_of(client, dataset, random_seed=2, epoch=4)[1][:1]
    assert np.array_equal(shown[0], first)
    assert (facts["width"], facts["height"]) == (24, 24)


def test_the_sheet_has_the_images_in_rows_of_three(client, dataset):
    facts, _ = preview_of(client, dataset)
    places = [(seen["left"], seen["top"]) for seen in facts["images"]]
    assert places[: COLUMNS + 1] == [(0, 0), (24 + GAP, 0), (2 * (24 + GAP), 0), (0, 24 + GAP)]


def test_the_page_shows_the_sheet_and_a_form_with_the_settings(client, dataset):
    path = f"/datasets/{dataset.pk}/augment_preview"
    page = client.get(path, {"aug_rot": "20"}, headers={"accept": "text/html"}).content.decode()
    assert f'src="{path}.png?aug_rot=20"' in page
    assert '<input class="input" id="id_aug_rot" name="aug_rot" value="20.0"' in page
    assert path in client.get(f"/datasets/{dataset.pk}", headers={"accept": "text/html"}).content.decode()
    wrong = client.get(path, {"epoch": "0"}, headers={"accept": "text/html"}).content.decode()
    assert ("<b>Epoch</b>" in wrong, "created" in wrong) == (True, False)


@pytest.mark.parametrize(
    "query, field",
    [
        ({"category": "cats"}, "category"),
        ({"epoch": "0"}, "epoch"),
        ({"aug_rot": "200"}, "aug_rot"),
        ({"crop_size": "25"}, "crop_size"),
        ({"standard_networks": "none"}, "standard_networks"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".png"])
def test_a_wrong_query_is_refused_by_name(client, dataset, query, field, suffix):
    assert list(field_errors(client.get(f"/datasets/{dataset.pk}/augment_preview{suffix}", query))) == [field]


def test_hsv_on_gray_images_is_refused_by_name(client, built_dataset):
    response = client.get(f"/datasets/{built_dataset.pk}/augment_preview.json", {"aug_hsv_use": "on"})
    assert list(field_errors(response)) == ["aug_hsv_use"]


def test_a_dataset_that_is_not_done_has_no_preview(client, make_dataset):
    response = client.get(f"/datasets/{with_categories(make_dataset()).pk}/augment_preview.json")
    assert response.status_code == 403
    assert "once it is Done" in response.content.decode()


def test_a_missing_dataset_has_no_preview(client):
    assert client.get("/datasets/20260101-000000-0000/augment_preview.json").status_code == 404


def test_records_that_are_gone_are_reported(client, dataset):
    (dataset.directory / "train.txt").unlink()
    assert client.get(f"/datasets/{dataset.pk}/augment_preview.json").status_code == 409


def test_a_training_on_features_has_no_preview(client, make_built, make_model):
    dataset = make_built(resize_channels=3, resize_width=64, resize_height=64)
    fields = {"method": "pretrained", "standard_network": "efficientnet_lite0", "train_layers": "head"}
    model = make_model(dataset, packaged_weights="efficientnet_lite0", **fields)
    response = client.get(f"/models/{model.pk}/augment_preview.json")
    assert "features that are computed once" in next(iter(field_errors(response).values()))


def test_the_head_epochs_of_a_finetuning_have_no_preview(client, make_built, make_model):
    dataset = make_built(resize_channels=3, resize_width=64, resize_height=64)
    fields = {"method": "pretrained", "standard_network": "efficientnet_lite0", "aug_policy": "light"}
    model = make_model(
        dataset, packaged_weights="efficientnet_lite0", head_epochs=2, train_epochs=5, batch_size=8, **fields
    )
    facts, _ = preview_of(client, model, "models")
    assert facts["epoch"] == 3
    errors = field_errors(client.get(f"/models/{model.pk}/augment_preview.json", {"epoch": 2}))
    assert "The first 2 epochs train the head" in errors["epoch"]


def test_the_command_writes_the_same_sheet_and_lists_the_images(client, dataset, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    options = ["--category", "4", "--epoch", "2", "--aug-policy", "light", "--output", str(sheet)]
    call_command("augment_preview", dataset.pk, *options, "--json")
    facts = json.loads(capsys.readouterr().out)
    served = client.get(f"/datasets/{dataset.pk}/augment_preview.json",
                        {"category": "4", "epoch": 2, "aug_policy": "light"}).json()  # fmt: skip
    assert sheet.read_bytes() == client.get(served.pop("sheet")).content
    assert facts == served
    call_command("augment_preview", dataset.pk, *options)
    assert len(capsys.readouterr().out.strip().splitlines()) == 10


def test_the_command_refuses_a_wrong_value_with_the_name_of_its_option(dataset):
    with pytest.raises(CommandError, match="--category: The dataset has no category 'cats'"):
        call_command("augment_preview", dataset.pk, "--category", "cats")


@pytest.mark.parametrize("name", [".", "missing/sheet.png"])
def test_the_command_refuses_an_output_that_cannot_be_written(dataset, tmp_path, name):
    with pytest.raises(CommandError, match=r"--output: .* can't be written: (Is a|No such file or) directory"):
        call_command("augment_preview", dataset.pk, "--output", str(tmp_path / name))


def test_the_status_of_a_preview_changes_no_row(client, dataset):
    before = dataset.status_history
    preview_of(client, dataset, aug_flip="fliplr")
    dataset.refresh_from_db()
    assert (dataset.status, dataset.status_history) == (Status.DONE, before)


def test_the_page_of_a_preview_names_no_network_that_was_not_chosen(client, dataset):
    page = client.get(f"/datasets/{dataset.pk}/augment_preview", headers={"Accept": "text/html"}).content.decode()
    choices = page[page.index('<select class="input" id="id_standard_networks"') :].split("</select>")[0]
    assert "<option selected></option>" in choices


def test_a_model_that_trains_on_features_names_feature_views(client, form, dataset):
    fields = {"standard_networks": "", "recipe": "features", "dataset": dataset.pk}
    model = client.post(CREATE, form(**fields)).json()["id"]
    wrong = field_errors(client.get(f"/models/{model}/augment_preview.json"))
    assert list(wrong) == ["feature_views"]
    assert "With feature_views 0" in wrong["feature_views"]
