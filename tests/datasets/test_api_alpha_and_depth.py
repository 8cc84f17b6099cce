"""The fields alpha_background and depth, and inference, which reads images as the dataset stored them."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset
from datasets.tasks import build_dataset
from inference import services
from inference.download.contents import info
from tests.support.api_requests import field_errors
from tests.support.samples.picture_samples import GRAY, RGBA, add_alpha, encode_image, image_of, png, random_samples
from tests.support.samples.row_samples import add_snapshot
from tests.support.samples.single_migrations import migrate_singly, old_home

CREATE = "/datasets/images/classification.json"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with transparent images in one category and images of 12 bits in the other."""
    folder = tmp_path_factory.mktemp("images")
    for kind in ("transparent", "deep"):
        (folder / kind).mkdir()
    for seed in range(6):
        (folder / "transparent" / f"{seed}.png").write_bytes(
            encode_image(image_of(add_alpha(random_samples(3, seed=seed))))
        )
        (folder / "deep" / f"{seed}.png").write_bytes(png(random_samples(1, 4096, seed=seed), colour=GRAY))
    deep = add_alpha(random_samples(3, 4096), 65536)
    (folder / "deep" / "and transparent.png").write_bytes(png(deep, colour=RGBA))
    return folder


@pytest.fixture
def form(folder):
    size = {"resize_width": 32, "resize_height": 24}
    return {"dataset_name": "x", "folder_train": str(folder), "folder_pct_val": 0, **size}


def build_posted(client, form):
    """Post a form, build the dataset and return it."""
    build_dataset(client.post(CREATE, form).json()["job_id"])
    return Dataset.objects.get()


@pytest.mark.parametrize(
    "value, stored_value",
    [("white", "white"), ("Black", "black"), ("#3080C0", "#3080c0"), ("#fff", "#ffffff"), ("red", "#ff0000"),
     ("rgb(1,2,3)", "#010203"), ("ignore", "ignore"), ("", "white")],
)  # fmt: skip
def test_alpha_background_can_be_a_colour_or_ignore(client, form, value, stored_value):
    client.post(CREATE, form | {"alpha_background": value})
    assert Dataset.objects.get().alpha_background == stored_value


@pytest.mark.parametrize("value", ["transparent", "#ff", "#ff00ff80", "rgba(1,2,3,4)", "white,black", "x" * 300])
def test_an_invalid_alpha_background_or_depth_is_a_field_error(client, form, value):
    response = client.post(CREATE, form | {"alpha_background": value, "depth": "12"})
    errors = field_errors(response)
    assert sorted(errors) == ["alpha_background", "depth"]
    assert "is not a colour: write white, black, another name such as grey, #rrggbb, or ignore." in str(errors)
    assert not Dataset.objects.exists()


def test_the_json_of_a_dataset_has_alpha_background_and_depth(client, form):
    dataset = build_posted(client, form | {"alpha_background": "#3080c0"})
    facts = client.get(f"/datasets/{dataset.pk}.json").json()
    assert (facts["alpha_background"], facts["depth"], facts["white_level"]) == ("#3080c0", "auto", 4095)
    assert "none uses more than 12: 4095 becomes white" in facts["warnings"][0]


@pytest.mark.parametrize("background", ["white", "black", "#3080c0", "ignore"])
@pytest.mark.parametrize("depth, white_level", [("auto", 4095), ("full", 65535)])
def test_inference_reads_an_image_exactly_as_the_dataset_stored_it(
    client, form, make_model, background, depth, white_level
):
    dataset = build_posted(client, form | {"alpha_background": background, "depth": depth})
    snapshot = add_snapshot(make_model(dataset), 1, seed=1)
    assert info(snapshot)["image"] == {
        "width": 32, "height": 24, "channels": 3, "resize_mode": "squash",
        "alpha_background": background, "white_level": white_level,
    }  # fmt: skip
    read = services.reader(services.find_snapshot(dataset.trained_models.get().pk))
    lines = (dataset.directory / "train.txt").read_text().splitlines()
    with RecordReader(dataset.directory / "train.rec") as reader:
        images = [decode_record(reader[number][1]) for number in range(len(reader))]
    assert len(images) == 13
    for line, pixels in zip(lines, images, strict=True):
        np.testing.assert_array_equal(read(Path(line.rsplit(" ", 1)[0])), pixels)


def test_the_create_dataset_command_has_alpha_background_and_depth(form, capsys):
    call_command(
        "create_dataset", "x", "--folder-train", form["folder_train"], "--alpha-background", "gray", "--depth", "full",
        "--no-wait",
    )  # fmt: skip
    dataset = Dataset.objects.get()
    assert (dataset.alpha_background, dataset.depth) == ("#808080", "full")


def test_a_dataset_of_text_files_has_alpha_background_and_depth(client, form, folder):
    paths = [
        f"{path} {label}" for label, kind in enumerate(("transparent", "deep")) for path in (folder / kind).iterdir()
    ]
    lists = {
        "textfile_train_images": BytesIO("\n".join(paths).encode()),
        "textfile_labels_file": BytesIO(b"transparent\ndeep\n"),
    }
    size = {name: form[name] for name in ("dataset_name", "resize_width", "resize_height")}
    dataset = build_posted(client, size | lists | {"method": "textfile", "alpha_background": "black"})
    assert (dataset.alpha_background, dataset.white_level) == ("black", 4095)


@pytest.mark.django_db(transaction=True)
def test_the_migration_keeps_the_pixel_rules_of_existing_datasets(make_dataset):
    new = make_dataset()
    assert (new.alpha_background, new.depth, new.white_level) == ("white", "auto", 65535)
    with old_home():
        migrate_singly([("datasets", "0005_archive")]).get_model("datasets", "Dataset").objects.create(job_id="old")
        migrate_singly([("datasets", "0006_alpha_and_depth")])
        old = Dataset.objects.only("alpha_background", "depth", "white_level").get()
    assert (old.alpha_background, old.depth, old.white_level) == ("ignore", "full", 65535)
    assert json.loads(json.dumps(old.look)) == {"alpha_background": "ignore", "white_level": 65535}
