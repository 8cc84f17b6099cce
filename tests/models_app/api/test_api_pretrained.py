"""Pretrained models: rows made from files of weights, from archives and from snapshots, with DIGITS's routes."""

import json
from dataclasses import replace
from io import BytesIO
from tarfile import SYMTYPE
from zipfile import ZipFile

import numpy as np
import pytest

from digits_project.jobs.models import Status, find_job
from models_app.models import TrainedModel
from models_app.networks import Network, standard
from models_app.networks.pretrained.torch_names import NAMINGS
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.training.snapshots.snapshot_reader import load_arrays, load_weights
from models_app.training.starting_weights import starting_weights
from tests.support.api_requests import field_errors
from tests.support.samples.archive_samples import tar_entry, tar_of
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.row_samples import DIGITS, add_snapshot, with_categories
from tests.support.samples.tensor_file_samples import Call, Name, write_safetensors, write_torch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
NEW, ARCHIVE = "/pretrained_models/new.json", "/pretrained_models/upload_archive.json"
CREATE = "/models/images/classification.json"
RESNET18 = next(naming for naming in NAMINGS if naming.network == "resnet18_torch")


def resnet_tensors(categories=7) -> dict[str, np.ndarray]:
    """Random tensors of torchvision's ResNet-18."""
    weights, names = random_weights(standard("resnet18_torch", (3, 64, 64), categories)), RESNET18.names()
    return {names[name]: array for name, array in weights.items() if name in names}


@pytest.fixture
def upload(client):
    """A function that uploads a file of weights, with more fields, and returns the response."""

    def upload(path, **fields):
        with path.open("rb") as file:
            return client.post(NEW, {"job_name": "mine", "weights_file": file} | fields)

    return upload


@pytest.fixture
def resnet(upload, tmp_path):
    """A pretrained ResNet-18 with seven categories."""
    path = write_torch(tmp_path / "resnet18.pth", resnet_tensors())
    assert upload(path, standard_networks="resnet18_torch").status_code == 200
    return PretrainedModel.objects.get()


@pytest.fixture
def trained(make_dataset, make_model):
    """A LeNet for ten digits, with a snapshot."""
    model = make_model(with_categories(make_dataset()))
    np.save(model.dataset.directory / "mean.npy", np.full((1, 28, 28), 33, np.float32))
    add_snapshot(model, 1, seed=1)
    return model


def test_a_file_of_torchvision_becomes_a_pretrained_model_with_all_its_layers(client, resnet):
    assert (resnet.status, resnet.standard_network, resnet.categories) == (Status.DONE, "resnet18_torch", 7)
    facts = client.get(f"/pretrained_models/{resnet.pk}.json").json()
    assert (facts["network"], facts["categories"], facts["labels"]) == ("resnet18_torch", 7, [])
    assert facts["image_dimensions"] == [3, 224, 224]
    assert facts["normalization"]["mean"] == [123.675, 116.28, 103.53]
    assert (facts["afresh"], facts["warnings"], len(facts["taken_over"])) == ([], [], 61)
    assert facts["made_from"] == "file resnet18.pth"
    expected = resnet_tensors()["conv1.weight"]
    assert (load_arrays(resnet.weights_file)["conv1.weight"] == expected).all()
    assert [path.name for path in resnet.directory.iterdir()] == ["weights.npz"]


def test_a_model_starts_from_a_pretrained_model_with_a_head_for_its_categories(client, resnet, make_dataset):
    dataset = with_categories(make_dataset(resize_width=64, resize_height=64, resize_channels=3))
    form = {"model_name": "tuned", "dataset": dataset.pk, "method": "pretrained", "pretrained_networks": resnet.pk}
    assert client.post(CREATE, form).status_code == 200
    model = TrainedModel.objects.get()
    assert (model.pretrained, model.use_mean, model.batch_size) == (resnet, "network", 32)
    start = starting_weights(model.network(), 1, model.initial_weights())
    assert start.afresh == ("fc1000",)
    assert model.network().normalization.mean == (123.675, 116.28, 103.53)


def test_a_pretrained_model_is_not_deleted_while_a_model_has_yet_to_read_it(client, resnet, make_dataset, make_model):
    dataset = with_categories(make_dataset(resize_width=64, resize_height=64, resize_channels=3))
    model = make_model(dataset, method="pretrained", pretrained=resnet, use_mean="network", standard_network="")
    refused = client.delete(f"/pretrained_models/{resnet.pk}.json")
    assert (refused.status_code, "1 job(s) depend on mine" in str(refused.json())) == (403, True)
    assert client.post(f"/models/{model.pk}/abort").status_code == 200
    response = client.delete(f"/pretrained_models/{resnet.pk}")
    assert (response.status_code, response.content) == (200, b"Job deleted.")
    assert not resnet.directory.exists()
    model.refresh_from_db()
    assert model.pretrained is None
    assert model.network().normalization.mean == (123.675, 116.28, 103.53)


def test_layers_that_a_file_lacks_are_listed(upload, client, tmp_path):
    tensors = {name: array for name, array in resnet_tensors().items() if not name.startswith("layer4")}
    upload(write_safetensors(tmp_path / "part.safetensors", tensors | {"extra.weight": np.zeros(3)}),
           standard_networks="resnet18_torch")  # fmt: skip
    facts = client.get(f"/pretrained_models/{PretrainedModel.objects.get().pk}.json").json()
    assert {name[3] if name.startswith("res") else "" for name in facts["afresh"]} == {"5", ""}
    assert any("The file has layers that the network does not have: extra" in line for line in facts["warnings"])


def test_caffes_variant_of_a_network_says_that_the_library_has_another(upload, tmp_path):
    upload(write_torch(tmp_path / "resnet18.pth", resnet_tensors()), standard_networks="resnet18")
    row = PretrainedModel.objects.get()
    assert (row.afresh, len(row.warnings)) == ([], 1)
    assert row.warnings[0].startswith(
        "resnet18 is Caffe's variant; resnet18_torch computes what PyTorch's libraries do"
    )


TEXT = """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_your_own_network_and_its_labels_become_a_pretrained_model(upload, tmp_path):
    tensors = {"ip.weight": np.ones((3, 12), np.float32), "ip.bias": np.zeros(3, np.float32)}
    labels = BytesIO(b"cat\ndog\n\nbird\n")
    labels.name = "labels.txt"
    path = write_safetensors(tmp_path / "own.safetensors", tensors)
    response = upload(path, model_def_file=TEXT, labels_file=labels, image_type="color", width=2, height=2,
                      framework="caffe", resize_mode="squash")  # fmt: skip
    assert response.status_code == 200, response.content
    row = PretrainedModel.objects.get()
    assert (row.labels, row.categories, row.standard_network) == (["cat", "dog", "bird"], 3, "")
    assert Network.from_dict(row.network).input_shape == (3, 2, 2)


@pytest.mark.parametrize(
    "fields, errors",
    [
        ({}, {"standard_networks": "Name a standard network, or send your own as model_def_file; one of the two."}),
        ({"standard_networks": "resnet18_torch", "model_def_file": TEXT},
         {"standard_networks": "Name a standard network, or send your own as model_def_file; one of the two."}),
        ({"standard_networks": "skynet"}, {"standard_networks": '"skynet" is not a valid choice'}),
        ({"standard_networks": "lenet"}, {"weights_file": "w.pth has no weights for any layer of the network"}),
        ({"standard_networks": "resnet18_torch", "labels_file": BytesIO(b"a\nb\n")},
         {"weights_file": "there are 2 labels, but the file's fc1000 gives scores to 7 categories"}),
        ({"standard_networks": "resnet18_torch", "job_name": ""}, {"job_name": "This field may not be blank."}),
    ],
)  # fmt: skip
def test_a_form_that_can_not_become_a_pretrained_model_is_refused_by_name(upload, tmp_path, fields, errors):
    response = upload(write_torch(tmp_path / "w.pth", resnet_tensors()), **fields)
    found = field_errors(response)
    assert found.keys() == errors.keys()
    assert all(message in found[field] for field, message in errors.items())
    assert not PretrainedModel.objects.exists()


def test_a_file_that_would_run_code_leaves_nothing_behind(upload, tmp_path, settings):
    path = write_torch(tmp_path / "evil.pth", {}, {"a": Call((Name("posix system"), f"touch {tmp_path}/ran"))})
    errors = field_errors(upload(path, standard_networks="resnet18_torch"))
    assert "it holds posix.system, which is not a tensor" in errors["weights_file"]
    assert not (tmp_path / "ran").exists()
    assert not PretrainedModel.objects.exists()
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []


def test_a_file_whose_name_is_only_a_suffix_is_read_by_it(upload, tmp_path):
    path = write_torch(tmp_path / ".pth", resnet_tensors())
    assert upload(path, standard_networks="resnet18_torch").status_code == 200


def test_a_file_of_an_unknown_format_is_refused(upload, tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF")
    assert "weights.h5 is of no known format" in field_errors(upload(tmp_path / "weights.h5"))["weights_file"]


def test_a_snapshot_becomes_a_pretrained_model_that_outlives_its_model(client, trained):
    response = client.post(f"/models/{trained.pk}/to_pretrained.json", {"snapshot_epoch": 1})
    row = find_job(response.json()["id"], PretrainedModel)
    assert (row.name, row.labels, row.standard_network) == (trained.name, DIGITS, "lenet")
    assert row.source == f"model {trained.pk} at epoch 1"
    kept, expected = load_arrays(row.weights_file), load_weights(trained.newest_snapshot.directory, ["conv1.weight"])
    assert (kept["conv1.weight"] == expected["conv1.weight"]).all()
    assert row.network["normalization"] == {"mean": [33.0], "std": [1.0]}


def test_a_model_without_snapshots_does_not_become_a_pretrained_model(client, make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    assert client.post(f"/models/{model.pk}/to_pretrained.json").status_code == 400
    assert not PretrainedModel.objects.exists()


def test_epoch_0_which_stands_for_random_weights_does_not_become_a_pretrained_model(client, trained):
    errors = field_errors(client.post(f"/models/{trained.pk}/to_pretrained.json", {"snapshot_epoch": 0}))
    assert errors == {"snapshot_epoch": f"{trained.name} has no snapshot of epoch 0; its epochs are: 1."}


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_downloaded_archive_goes_back_in(client, trained, form):
    archive = BytesIO(b"".join(client.get(f"/models/{trained.pk}/download.{form}").streaming_content))
    archive.name = f"model.{form}"
    response = client.post(ARCHIVE, {"archive": archive})
    assert response.json()["status"] == "success"
    row = find_job(response.json()["id"], PretrainedModel)
    assert (row.name, row.labels, row.categories) == (trained.name, DIGITS, 10)
    assert row.network["normalization"] == {"mean": [33.0], "std": [1.0]}
    names = [weight.name for weight in trained.network().weights()]
    kept, expected = load_arrays(row.weights_file), load_weights(trained.newest_snapshot.directory, names)
    assert all((kept[name] == expected[name]).all() for name in names)
    assert replace(Network.from_dict(row.network), normalization=None) == replace(trained.network(), resizing=None)
    assert [path.name for path in row.directory.iterdir()] == ["weights.npz"]


def altered(archive: bytes, **changes: bytes) -> BytesIO:
    """The zip with other contents of some members; __ in the name of an argument stands for a dot."""
    made = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.replace(".", "__"), old.read(name)))
    made.seek(0)
    made.name = "model.zip"
    return made


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"info__json": b"[]"}, "its info.json can't be used"),
        ({"info__json": b'{"image": {"channels": 1, "height": 0, "width": 28}}'}, "must have a size"),
        ({"info__json": b'{"image": {"channels": 1, "height": 28, "width": 28}, "normalization": {"mean": [1]}}'},
         "this is not a normalization"),
        ({"network__prototxt": b"\xff"}, "is not UTF-8 text"),
        ({"network__prototxt": b"layer {"}, "line 1"),
        ({"info__json": b'{"image": {"channels": 1, "height": 28, "width": Infinity}}'}, "its info.json can't be used"),
        ({"weights__npz": b"PK"}, "weights.npz does not hold arrays"),
        ({"mean__npy": b"text"}, "mean.npy can't be used"),
        ({"mean__npy": b"PK\x05\x06" + bytes(18)}, "mean.npy can't be used"),
    ],
)  # fmt: skip
def test_an_archive_that_was_altered_is_refused_and_leaves_nothing_behind(client, trained, changes, message, settings):
    whole = b"".join(client.get(f"/models/{trained.pk}/download.zip").streaming_content)
    before = sorted(settings.DIGITS_JOBS_DIR.iterdir())
    errors = field_errors(client.post(ARCHIVE, {"archive": altered(whole, **changes)}))
    assert message in " ".join(errors.values())
    assert not PretrainedModel.objects.exists()
    assert sorted(settings.DIGITS_JOBS_DIR.iterdir()) == before


def test_names_in_an_archive_that_can_not_be_stored_are_escaped(client, trained):
    whole = b"".join(client.get(f"/models/{trained.pk}/download.zip").streaming_content)
    info = b'{"name": "a\\u0000b", "image": {"channels": 1, "height": 28, "width": 28}}'
    labels = "東京\u3000タワー\n".encode() + b"".join(b"%d\x00\n" % number for number in range(1, 10))
    response = client.post(ARCHIVE, {"archive": altered(whole, info__json=info, labels__txt=labels)})
    row = find_job(response.json()["id"], PretrainedModel)
    assert (row.name, row.labels[3]) == (r"'a\x00b'", r"'3\x00'")
    assert row.labels[0] == "東京\u3000タワー"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"text", "is not an archive"),
        (b"PK\x03\x04 and no more", "is damaged or cut short"),
        (tar_of([("a.txt", b"")]), "has no info.json"),
        (tar_of([(tar_entry("weights.npz", SYMTYPE, "/etc/passwd"), b"")]), "is a link, a device or a sparse file"),
    ],
)
def test_a_file_that_is_no_archive_of_this_server_is_refused(client, content, message):
    archive = BytesIO(content)
    archive.name = "model.zip"
    assert message in field_errors(client.post(ARCHIVE, {"archive": archive}))["archive"]
    assert not PretrainedModel.objects.exists()


def test_the_list_has_pretrained_models_and_installed_weights(client, resnet):
    listed = client.get("/pretrained_models.json").json()
    [row] = listed["pretrained_models"]
    assert row == {"id": resnet.pk, "name": "mine", "network": "resnet18_torch", "categories": 7}
    [installed] = listed["installed"]
    assert installed.items() >= {"name": "efficientnet_lite0", "licence": "Apache-2.0", "installed": True}.items()


def test_the_list_shows_a_network_that_is_not_a_standard_one_by_its_own_name(client, resnet):
    PretrainedModel.objects.update(standard_network="")
    assert client.get("/pretrained_models.json").json()["pretrained_models"][0]["network"] == "ResNet-18 of torchvision"


def test_the_index_of_all_jobs_stays_as_it_was(client, resnet):
    assert list(client.get("/index.json").json()) == ["datasets", "models"]


def test_a_pretrained_model_has_a_page_and_a_status(client, resnet):
    page = client.get(f"/pretrained_models/{resnet.pk}", headers={"Accept": "text/html"}).content.decode()
    assert all(text in page for text in ("mine", "resnet18_torch, for images of 3×224×224", "file resnet18.pth"))
    status = client.get(f"/pretrained_models/{resnet.pk}/status.json").json()
    assert (status["status"], status["type"]) == ("Done", "Pretrained Model")
    assert json.loads(client.get("/pretrained_models/new.json").content)["defaults"]["standard_networks"] == ""
