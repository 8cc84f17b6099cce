"""Networks of timm in forms and routes. No test here loads timm."""

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from models_app.models import TrainedModel
from models_app.networks.timm import timm_catalogue
from models_app.pretrained.pretrained_model import PretrainedModel
from tests.support.api_requests import field_errors
from tests.support.samples.row_samples import with_categories
from tests.support.samples.tensor_file_samples import write_safetensors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"
ATTO = "timm/convnext_atto"


@pytest.fixture
def form(make_dataset):
    """A function that returns the form of a model on 64×64 photos, changed by `fields`."""

    def form(**fields):
        dataset = with_categories(make_dataset(resize_width=64, resize_height=64, resize_channels=3))
        return {"model_name": "m", "dataset": dataset.pk, "standard_networks": ATTO} | fields

    return form


@pytest.mark.parametrize(
    "fields, field, message",
    [
        ({"standard_networks": "timm/convnext_ato"}, "standard_networks", "there are timm/convnext_atto"),
        ({"standard_networks": "timm/hf_hub:me/mine"}, "standard_networks", "has no classifier 'hf_hub:me/mine'"),
        ({"standard_networks": "convnext_atto"}, "standard_networks", "; or timm/convnext_atto of the timm library."),
        ({"engine": "mxnet"}, "standard_networks",
         "MXNet can't train layers of type timm; change the network, or choose the engine torch"),
        ({"input_size": 16}, "input_size", "takes images of at least 32×32, not 16×16"),
        ({"standard_networks": "timm/convnext_ato"}, "standard_networks",
         ". GET /models/timm_networks.json lists all names, and the page that adds a model completes them"),
        ({"standard_networks": "timm/efficientformer_l1", "input_size": 64}, "input_size", "images of 224×224 only"),
        ({"standard_networks": "timm/vit_tiny_patch16_224", "input_size": 100}, "input_size",
         "at least 32×32 in steps of 16, not 100×100"),
        ({"standard_networks": "timm/efficientformer_l1", "crop_size": 32}, "standard_networks",
         "224×224 only, not 32×32; its own size is 224×224. Without crop_size the images are scaled to that"),
        ({"standard_networks": "n" * 500}, "standard_networks", f'"{"n" * 60}" is not a valid choice. Choose lenet, '),
        ({"solver_type": "s" * 500}, "solver_type", f'"{"s" * 60}" is not a valid choice. Choose SGD, '),
        ({"compile_network": "on", "engine": "mxnet", "standard_networks": "lenet"}, "compile_network",
         "MXNet can't train with compile_network 1; change it, or choose the engine torch"),
        ({"custom_network_snapshot": "/w.npz"}, "custom_network_snapshot",
         "method=standard does not read this file; only method=custom does. To start a published network from it"),
        ({"train_layers": "blocks", "trained_blocks": 99, "head_epochs": 0}, "train_layers", "needs weights"),
    ],
)  # fmt: skip
def test_a_network_of_timm_that_can_not_be_trained_is_refused_with_what_to_do(client, form, fields, field, message):
    response = client.post(CREATE, form(**fields))
    assert response.status_code == 400
    assert message in field_errors(response)[field]
    assert not TrainedModel.objects.exists()


def test_all_names_are_listed_with_what_is_known_of_each(client):
    found = client.get("/models/timm_networks.json").json()
    assert found["timm"] == timm_catalogue.version()
    assert len(found["networks"]) == len(timm_catalogue.names())
    assert found["networks"][ATTO] == {
        "size": 224, "sizes": "at least 32×32", "parameters": 3374520, "weights": ["d2_in1k"],
    }  # fmt: skip


def test_a_vision_transformer_is_built_for_the_size_of_the_form(client, form):
    created = client.post(CREATE, form(standard_networks="timm/vit_tiny_patch16_224", input_size=64))
    assert created.status_code == 200, created.content
    facts = client.get(f"/models/{created.json()['id']}.json").json()
    assert (facts["network"], facts["input_size"]) == ("timm/vit_tiny_patch16_224", 64)


def test_a_network_of_timm_has_no_prototxt_as_a_template(client):
    response = client.post("/models/customize", {"network": ATTO})
    assert response.status_code == 400
    assert "can't be written as Caffe prototxt" in response.content.decode()


def test_the_page_suggests_standard_networks_and_those_of_timm(admin_client):
    page = admin_client.get("/admin/models_app/trainedmodel/add/").content.decode()
    assert 'list="list_standard_networks"' in page
    assert '<option value="lenet">' in page
    assert f'<option value="{ATTO}">' in page


TENSORS = {"stem.0.weight": (40, 3, 4, 4), "head.norm.bias": (320,), "head.fc.weight": (7, 320), "head.fc.bias": (7,)}


@pytest.fixture
def upload(client, tmp_path):
    """A function that uploads a .safetensors with tensors of these shapes, and further fields."""

    def upload(shapes, **fields):
        tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
        path = write_safetensors(tmp_path / "model.safetensors", tensors)
        with path.open("rb") as file:
            return client.post(
                "/pretrained_models/new.json",
                {"job_name": "hub", "weights_file": file, "standard_networks": ATTO} | fields,
            )

    return upload


def test_a_file_of_timm_becomes_a_pretrained_model_of_its_network(upload, client):
    assert upload(TENSORS).status_code == 200
    facts = client.get(f"/pretrained_models/{PretrainedModel.objects.get().pk}.json").json()
    assert (facts["network"], facts["categories"], facts["afresh"]) == (ATTO, 7, [])
    assert facts["image_dimensions"] == [3, 224, 224]
    assert facts["normalization"]["mean"] == [123.675, 116.28, 103.53]
    assert facts["taken_over"] == ["stem.0", "head.norm", "head.fc"]


def test_a_file_of_another_network_or_other_labels_is_refused(upload):
    wrong = upload({"conv1.weight": (64, 3, 7, 7)})
    assert "these are not the weights of timm/convnext_atto" in field_errors(wrong)["weights_file"]
    wrong = upload(TENSORS, labels_file=SimpleUploadedFile("labels.txt", b"a\nb\n"))
    assert "the file's head gives scores to 7 categories" in field_errors(wrong)["weights_file"]
    wrong = upload(TENSORS, standard_networks="timm/vit_tiny_patch16_224", width=100, height=100)
    assert "takes images of at least 32×32 in steps of 16" in field_errors(wrong)["weights_file"]
    assert not PretrainedModel.objects.exists()


def test_a_preview_shows_images_at_the_size_of_the_network(client, built_dataset):
    shown = client.get(f"/datasets/{built_dataset.pk}/augment_preview.json", {"standard_networks": ATTO})
    assert shown.status_code == 200, shown.content
    assert {"width": 224, "height": 224}.items() <= shown.json().items()
