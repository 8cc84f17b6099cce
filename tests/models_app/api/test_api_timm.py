"""Networks of timm in forms and routes. No test here loads timm."""

import pytest

from models_app.models import TrainedModel
from tests.support.api_requests import field_errors
from tests.support.samples.row_samples import with_categories

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
        ({"engine": "mxnet"}, "standard_networks", "MXNet can't train layers of type timm"),
        ({"input_size": 16}, "input_size", "takes images of at least 32×32, not 16×16"),
        ({"standard_networks": "timm/vit_tiny_patch16_224", "input_size": 64}, "input_size", "images of 224×224 only"),
        ({"standard_networks": "timm/vit_tiny_patch16_224", "crop_size": 32}, "standard_networks", "224×224 only"),
        ({"train_layers": "blocks", "trained_blocks": 99, "head_epochs": 0}, "train_layers", "needs weights"),
    ],
)
def test_a_network_of_timm_that_can_not_be_trained_is_refused_with_what_to_do(client, form, fields, field, message):
    response = client.post(CREATE, form(**fields))
    assert response.status_code == 400
    assert message in field_errors(response)[field]
    assert not TrainedModel.objects.exists()


def test_a_network_of_timm_has_no_prototxt_as_a_template(client):
    response = client.post("/models/customize", {"network": ATTO})
    assert response.status_code == 400
    assert "can't be written as Caffe prototxt" in response.content.decode()


def test_the_page_suggests_standard_networks_and_those_of_timm(admin_client):
    page = admin_client.get("/admin/models_app/trainedmodel/add/").content.decode()
    assert 'list="list_standard_networks"' in page
    assert '<option value="lenet">' in page
    assert f'<option value="{ATTO}">' in page
