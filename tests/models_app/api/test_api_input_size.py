"""input_size: the network takes images of another size than the dataset's."""

import pytest

from datasets.imagedb.images.resize import InputResize
from models_app.models import TrainedModel
from models_app.sizes import input_sizes
from tests.support.api_requests import field_errors
from tests.support.samples.network_samples import CLASSIFIER
from tests.support.samples.row_samples import with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"
PRETRAINED = {"method": "pretrained", "pretrained_networks": "efficientnet_lite0"}
FLAT = 'layer { name: "flat" type: "Reshape" bottom: "data" top: "flat" reshape_param { shape { dim: 0 dim: 12288 } } }'
OF_64 = FLAT + CLASSIFIER.replace('bottom: "data"', 'bottom: "flat"', 1)  # takes no other images than 3×64×64


@pytest.fixture
def create(client, make_dataset):
    """A function that posts a model for a dataset of that width and height, and returns the response."""

    def post(width: int, height: int, **fields):
        dataset = with_categories(make_dataset(resize_width=width, resize_height=height, resize_channels=3))
        form = {"model_name": "sized", "dataset": dataset.pk, "method": "standard", "standard_networks": "resnet18"}
        return client.post(CREATE, form | fields)

    return post


def made(response) -> TrainedModel:
    assert response.status_code == 200, response.content
    return TrainedModel.objects.get()


@pytest.mark.parametrize(
    "images, fields, input_shape, resize",
    [
        ((40, 40), {"input_size": 64}, (3, 64, 64), InputResize(35, 64, "bilinear")),
        ((80, 100), {"input_size": 64}, (3, 64, 64), InputResize(70, 64, "bilinear")),
        ((80, 80), {"input_size": 64, "crop_size": 80}, (3, 64, 64), InputResize(80, 64, "bilinear")),
        ((70, 70), {"input_size": 64}, (3, 64, 64), None),  # a plain crop; nothing is enlarged
        ((64, 64), {"input_size": 64}, (3, 64, 64), None),
        ((40, 40), {}, (3, 40, 40), None),  # as it was before there was an input_size
        ((40, 40), PRETRAINED, (3, 224, 224), InputResize(35, 224, "bicubic")),
        ((256, 256), PRETRAINED, (3, 224, 224), None),
        ((320, 300), PRETRAINED, (3, 224, 224), InputResize(262, 224, "bicubic")),
        ((40, 40), PRETRAINED | {"input_size": 96}, (3, 96, 96), InputResize(35, 96, "bicubic")),
        ((40, 40), PRETRAINED | {"crop_size": 36}, (3, 36, 36), None),
        ((40, 40), {"standard_networks": "lenet", "input_size": 28}, (3, 28, 28), InputResize(40, 28, "bilinear")),
        ((40, 40), {"method": "custom", "custom_network": CLASSIFIER, "input_size": 16}, (3, 16, 16),
         InputResize(35, 16, "bilinear")),
    ],
)  # fmt: skip
def test_images_are_scaled_to_the_size_of_the_network(create, images, fields, input_shape, resize):
    model = made(create(*images, **fields))
    assert model.network().input_shape == input_shape
    assert input_sizes.resize_of(model) == resize


def test_the_json_of_a_model_says_how_its_images_are_scaled(create, client):
    facts = client.get(f"/models/{made(create(40, 40, **PRETRAINED)).pk}.json").json()
    assert facts["input_size"] == 224
    assert facts["input_resize"] == {"window": 35, "size": 224, "interpolation": "bicubic"}
    assert "warnings" not in facts


def test_the_page_of_a_model_says_how_its_images_are_scaled(create, client):
    page = client.get(f"/models/{made(create(40, 40, **PRETRAINED)).pk}", HTTP_ACCEPT="text/html").content.decode()
    assert "224×224, scaled (bicubic) from a square of 35 pixels" in page


def test_a_model_whose_images_are_not_scaled_says_nothing_of_it(create, client):
    facts = client.get(f"/models/{made(create(64, 64)).pk}.json").json()
    assert not {"input_size", "input_resize", "warnings"} & set(facts)


def test_a_model_made_from_another_takes_its_input_size(create, client):
    first = made(create(40, 40, input_size=64))
    dataset = first.dataset_id
    form = {"model_name": "next", "dataset": dataset, "method": "previous", "previous_networks": first.pk}
    assert client.post(CREATE, form).status_code == 200
    again = TrainedModel.objects.get(name="next")
    assert (again.input_size, again.network().input_shape) == (64, (3, 64, 64))
    assert input_sizes.resize_of(again) == input_sizes.resize_of(first)


def test_a_model_of_an_earlier_version_keeps_the_size_of_its_dataset(create):
    made(create(40, 40, **PRETRAINED))
    TrainedModel.objects.update(input_size=None)
    earlier = TrainedModel.objects.get()
    earlier.full_clean()
    assert (earlier.input_size, earlier.network().input_shape) == (None, (3, 40, 40))


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"input_size": 0}, "Ensure this value is greater than or equal to 1."),
        ({"input_size": 4097}, "Ensure this value is less than or equal to 4096."),
        ({"input_size": "large"}, "A valid integer is required."),
        ({"input_size": 40, "standard_networks": "alexnet"}, "The network can't take images of 40×40: layer "),
        ({"input_size": 4096, "standard_networks": "lenet"}, "The network can't take images of 4096×4096: layer "),
        (
            {"input_size": 32, "method": "custom", "custom_network": OF_64},
            "The network can't take images of 32×32: layer ",
        ),
    ],
)
def test_a_wrong_input_size_is_refused_by_name(create, fields, message):
    errors = field_errors(create(64, 64, **fields))
    assert list(errors) == ["input_size"]
    assert errors["input_size"].startswith(message)
    assert not TrainedModel.objects.exists()


def test_a_senseless_size_is_warned_of_by_the_create_the_json_and_the_page(create, client):
    warnings = create(256, 256, standard_networks="lenet").json()["warnings"]
    model = TrainedModel.objects.get()
    assert "93,025,500 weights" in warnings[0]
    assert client.get(f"/models/{model.pk}.json").json()["warnings"] == warnings
    assert "93,025,500 weights" in client.get(f"/models/{model.pk}", HTTP_ACCEPT="text/html").content.decode()


def test_all_models_of_a_sweep_are_warned_of(create):
    create(256, 256, standard_networks="lenet", learning_rate="0.1,0.01")
    assert [len(model.warnings) for model in TrainedModel.objects.all()] == [1, 1]
