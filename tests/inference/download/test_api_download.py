"""Downloads: archives of every form with the files of a model."""

import json
from io import BytesIO

import numpy as np
import pytest

from models_app.networks import prototxt, standard
from models_app.training.snapshots.onnx_arrays import onnx_weights
from tests.inference.download.test_archive_stream import unpack
from tests.support.samples.row_samples import DIGITS, add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
FILES = {"classify.py", "info.json", "labels.txt", "mean.npy", "model.onnx", "network.prototxt", "weights.npz"}


def content_of(response):
    """The bytes of a streamed response."""
    return b"".join(response.streaming_content)


def without_modules(names):
    """The names of files without the modules that classify.py imports."""
    return {name for name in names if not name.startswith("digits_classify/")}


@pytest.mark.parametrize("form", ["tar", "tar.gz", "tgz", "tar.bz2", "zip"])
def test_a_download_of_every_form_holds_all_files_of_a_model(client, model, form):
    response = client.get(f"/models/{model.pk}/download.{form}")
    found = unpack(form, content_of(response))
    assert without_modules(found) == FILES
    assert found["model.onnx"] == model.newest_snapshot.onnx_file.read_bytes()
    with np.load(BytesIO(found["weights.npz"])) as arrays:
        held = onnx_weights(model.newest_snapshot.onnx_file)
        assert {name: arrays[name].tobytes() for name in arrays.files} == {n: a.tobytes() for n, a in held.items()}
    assert found["labels.txt"].decode().splitlines() == DIGITS
    assert response["Content-Disposition"] == f'attachment; filename="{model.pk}_epoch_1.{form}"'


def test_a_download_without_a_suffix_is_a_tar_gz(client, model):
    response = client.get(f"/models/{model.pk}/download", headers={"Accept": "text/html"})
    assert response["Content-Type"] == "application/gzip"
    assert without_modules(unpack("tar.gz", content_of(response))) == FILES


def test_a_download_as_onnx_is_the_network_alone(client, model):
    response = client.get(f"/models/{model.pk}/download.onnx?epoch=0.5")
    assert content_of(response) == model.snapshots.get(epoch=0.5).onnx_file.read_bytes()
    assert response["Content-Disposition"] == f'attachment; filename="{model.pk}_epoch_0.5.onnx"'


@pytest.mark.parametrize("sent, epoch", [("0.5", 0.5), ("1", 1), ("-1", 1), ("", 1)])
def test_epoch_chooses_the_snapshot_of_a_download(client, model, sent, epoch):
    found = unpack("tar", content_of(client.get(f"/models/{model.pk}/download.tar?epoch={sent}")))
    assert found["model.onnx"] == model.snapshots.get(epoch=epoch).onnx_file.read_bytes()
    assert json.loads(found["info.json"])["epoch"] == epoch


def test_a_download_holds_the_network_as_a_prototxt(client, model):
    found = unpack("tar", content_of(client.get(f"/models/{model.pk}/download.tar")))
    network = prototxt.read(found["network.prototxt"].decode(), (1, 16, 16), categories=10)
    assert network.layers == standard("lenet", (1, 16, 16), 10).layers


def test_info_json_describes_the_origin_of_a_model_and_its_input(client, model):
    found = unpack("tar", content_of(client.get(f"/models/{model.pk}/download.tar")))
    info = json.loads(found["info.json"])
    assert (info["job_id"], info["dataset_id"], info["categories"]) == (model.pk, model.dataset_id, 10)
    size = {"width": 28, "height": 28, "channels": 1, "resize_mode": "squash"}
    assert info["image"] == size | {"alpha_background": "white", "white_level": 65535}


def test_a_download_of_a_model_without_a_mean_holds_no_mean_file(client, model, make_model):
    plain = make_model(model.dataset, use_mean="none")
    add_snapshot(plain, 1, seed=1)
    found = unpack("tar", content_of(client.get(f"/models/{plain.pk}/download.tar")))
    assert without_modules(found) == FILES - {"mean.npy"}


@pytest.mark.parametrize(
    "path, status",
    [("download?epoch=7", 400), ("download?epoch=last", 400), ("download.rar", 400), ("download.json", 400)],
)
def test_an_unknown_epoch_or_form_of_a_download_is_refused(client, model, path, status):
    assert client.get(f"/models/{model.pk}/{path}", headers={"Accept": "application/json"}).status_code == status


@pytest.mark.parametrize("job_id", ["20200101-000000-abcd", "%00", "."])
def test_a_download_of_an_unknown_model_is_refused_with_404(client, db, job_id):
    assert client.get(f"/models/{job_id}/download.zip").status_code == 404


def test_a_dataset_and_a_model_without_a_snapshot_have_no_download(client, model, make_model):
    fresh = make_model(model.dataset)
    assert client.get(f"/models/{fresh.pk}/download").status_code == 409
    assert client.get(f"/models/{model.dataset_id}/download").status_code == 404


def test_a_download_continues_after_its_snapshot_is_deleted(client, model):
    weights = model.newest_snapshot.onnx_file.read_bytes()
    response = client.get(f"/models/{model.pk}/download.tar")
    model.newest_snapshot.onnx_file.unlink()
    assert unpack("tar", content_of(response))["model.onnx"] == weights
