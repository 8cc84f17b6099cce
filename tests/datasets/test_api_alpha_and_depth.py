"""alpha_background and depth: their fields, and that a model reads images as its dataset stored them."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset
from datasets.tasks import build_dataset
from inference import services
from inference.download.contents import info
from tests.support.api_requests import field_errors
from tests.support.samples.picture_samples import GRAY, RGBA, add_alpha, encode_image, image_of, png, random_samples
from tests.support.samples.row_samples import add_snapshot

CREATE = "/datasets/images/classification.json"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _open_server(settings):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [Path("/")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Transparent images in one category, images of 12 bits in the other."""
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


def built(client, form):
    """The dataset of a form, Done."""
    build_dataset(client.post(CREATE, form).json()["job_id"])
    return Dataset.objects.get()


@pytest.mark.parametrize(
    "given, kept",
    [("white", "white"), ("Black", "black"), ("#3080C0", "#3080c0"), ("#fff", "#ffffff"), ("red", "#ff0000"),
     ("rgb(1,2,3)", "#010203"), ("ignore", "ignore"), ("", "white")],
)  # fmt: skip
def test_a_background_is_a_colour_or_ignore(client, form, given, kept):
    client.post(CREATE, form | {"alpha_background": given})
    assert Dataset.objects.get().alpha_background == kept


@pytest.mark.parametrize("given", ["transparent", "#ff", "#ff00ff80", "rgba(1,2,3,4)", "white,black", "x" * 300])
def test_what_is_no_colour_is_told_at_its_field(client, form, given):
    answer = client.post(CREATE, form | {"alpha_background": given, "depth": "12"})
    found = field_errors(answer)
    assert sorted(found) == ["alpha_background", "depth"]
    assert "is not a colour: write white, black, another name such as grey, #rrggbb, or ignore." in str(found)
    assert not Dataset.objects.exists()


def test_the_rule_of_a_dataset_is_in_its_json(client, form):
    dataset = built(client, form | {"alpha_background": "#3080c0"})
    said = client.get(f"/datasets/{dataset.pk}.json").json()
    assert (said["alpha_background"], said["depth"], said["white_level"]) == ("#3080c0", "auto", 4095)
    assert "none uses more than 12: 4095 becomes white" in said["warnings"][0]


@pytest.mark.parametrize("background", ["white", "black", "#3080c0", "ignore"])
@pytest.mark.parametrize("depth, white", [("auto", 4095), ("full", 65535)])
def test_an_image_is_classified_as_it_was_stored(client, form, make_model, background, depth, white):
    dataset = built(client, form | {"alpha_background": background, "depth": depth})
    snapshot = add_snapshot(make_model(dataset), 1, seed=1)
    assert info(snapshot)["image"] == {
        "width": 32, "height": 24, "channels": 3, "resize_mode": "squash",
        "alpha_background": background, "white_level": white,
    }  # fmt: skip
    read = services.reader(services.find_snapshot(dataset.trained_models.get().pk))
    listed = (dataset.directory / "train.txt").read_text().splitlines()
    with RecordReader(dataset.directory / "train.rec") as reader:
        stored = [decode_record(reader[number][1]) for number in range(len(reader))]
    assert len(stored) == 13
    for line, pixels in zip(listed, stored, strict=True):
        np.testing.assert_array_equal(read(Path(line.rsplit(" ", 1)[0])), pixels)


def test_the_command_has_both_fields(form, capsys):
    call_command(
        "create_dataset", "x", "--folder-train", form["folder_train"], "--alpha-background", "gray", "--depth", "full",
        "--no-wait",
    )  # fmt: skip
    dataset = Dataset.objects.get()
    assert (dataset.alpha_background, dataset.depth) == ("#808080", "full")


def test_a_list_of_images_has_both_fields(client, form, folder):
    paths = [
        f"{path} {label}" for label, kind in enumerate(("transparent", "deep")) for path in (folder / kind).iterdir()
    ]
    lists = {
        "textfile_train_images": BytesIO("\n".join(paths).encode()),
        "textfile_labels_file": BytesIO(b"transparent\ndeep\n"),
    }
    size = {name: form[name] for name in ("dataset_name", "resize_width", "resize_height")}
    dataset = built(client, size | lists | {"method": "textfile", "alpha_background": "black"})
    assert (dataset.alpha_background, dataset.white_level) == ("black", 4095)


@pytest.mark.django_db(transaction=True)
def test_datasets_that_were_there_before_the_fields_keep_what_they_were_built_with(make_dataset):
    pk = make_dataset().pk
    latest = [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] == "datasets"]
    MigrationExecutor(connection).migrate([("datasets", "0005_archive")])
    MigrationExecutor(connection).migrate(latest)
    old = Dataset.objects.get(pk=pk)
    assert (old.alpha_background, old.depth, old.white_level) == ("ignore", "full", 65535)
    new = make_dataset()
    assert (new.alpha_background, new.depth, new.white_level) == ("white", "auto", 65535)
    assert json.loads(json.dumps(old.look)) == {"alpha_background": "ignore", "white_level": 65535}
