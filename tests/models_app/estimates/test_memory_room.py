"""A training that no device has the memory for, and sizes that make little sense: refused, or warned of, at create."""

import pytest

from digits_project.jobs.models import Device
from models_app.models import TrainedModel
from tests.support.api_requests import field_errors
from tests.support.samples.row_samples import with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"
GIBIBYTE = 1 << 30


@pytest.fixture
def form(make_dataset):
    """A valid form for a network of timm on 64×64 photos."""
    dataset = with_categories(make_dataset(resize_width=64, resize_height=64, resize_channels=3))
    return {"model_name": "m", "dataset": dataset.pk, "standard_networks": "timm/convnext_atto"}


@pytest.fixture
def device(settings):
    """A function that registers a device of so many GiB, which both engines can use."""

    def device(size, **columns):
        facts = {"host": settings.DIGITS_HOST_NAME, "type": "cpu", "engines": ["mxnet", "torch"]}
        return Device.objects.create(memory=size * GIBIBYTE, **(facts | columns))

    return device


def test_a_network_of_timm_that_no_device_has_the_memory_for_is_refused(client, form, device):
    cpu = device(8)
    large = form | {"input_size": 4096, "batch_size": 16}
    message = field_errors(client.post(CREATE, large))["batch_size"]
    assert message.startswith("A batch of 16 images needs at least ")
    assert f"the largest device that can train the model, {cpu}, has 8.0 GiB. Take a smaller batch_size" in message
    assert not TrainedModel.objects.exists()
    planned = client.post(CREATE, large | {"dry_run": 1}).json()
    assert planned["refusals"] == [message]
    assert planned["estimate"]["memory_bytes"] > 8 * GIBIBYTE


def test_a_batch_is_divided_among_the_gpus_and_computed_in_bf16_there(client, form, device):
    large = form | {"input_size": 1024, "batch_size": 64}
    device(2, type="gpu", index=0)
    device(2, type="gpu", index=1)
    assert "batch_size" in field_errors(client.post(CREATE, large))
    Device.objects.update(memory=24 * GIBIBYTE)
    assert client.post(CREATE, large | {"precision": "fp32"}).status_code == 400
    assert client.post(CREATE, large | {"precision": "fp32", "select_gpu_count": 2}).status_code == 200
    assert client.post(CREATE, large).status_code == 200


def test_memory_that_no_host_has_reported_refuses_nothing(client, form, device):
    device(0)
    assert client.post(CREATE, form | {"input_size": 4096}).status_code == 200


def test_a_network_that_mxnet_can_train_is_only_warned_of(client, form, device):
    device(1)
    large = form | {"standard_networks": "resnet18", "input_size": 1024, "batch_size": 64}
    planned = client.post(CREATE, large | {"dry_run": 1}).json()
    assert planned["refusals"] == []
    assert planned["warnings"][-1].startswith("A batch of 64 images needs at least ")


@pytest.mark.parametrize(
    "size, warnings",
    [
        (224, []),
        (1024, ["at 1024×1024 each image takes 21 times as long and as much memory",
                "enlarges the images of the dataset, whose shorter side is 64, beyond the 224×224"]),
        (288, ["Take an input_size of at most 224."]),
        (32, ["A larger input_size, such as 56, scales the images up."]),
    ],
)  # fmt: skip
def test_a_size_that_makes_little_sense_is_warned_of(client, form, size, warnings):
    found = client.post(CREATE, form | {"input_size": size}).json().get("warnings", [])
    assert len(found) == len(warnings)
    assert all(part in text for part, text in zip(warnings, found, strict=True))
