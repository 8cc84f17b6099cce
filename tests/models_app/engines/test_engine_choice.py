"""The engine that trains a model: requested in the form, limited by the network, and chosen with the device."""

from dataclasses import replace

import pytest

from digits_project.jobs.models import Device, Status
from digits_project.jobs.overview import overview
from digits_project.jobs.scheduling import devices
from digits_project.jobs.scheduling.dispatch import dispatch, lease_here
from models_app.models import TrainedModel
from models_app.training.engines import ENGINES
from models_app.training_task import train_config
from tests.support.api_requests import field_errors
from tests.support.samples.engine_samples import MISSING, SECOND

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server", "only_mxnet")]
CREATE = "/models/images/classification.json"


@pytest.fixture
def form(make_dataset):
    """A function that returns a valid form with further fields."""

    def form(**fields):
        return {"model_name": "lenet", "dataset": make_dataset().pk, "standard_networks": "lenet", **fields}

    return form


@pytest.fixture
def second_engine(monkeypatch):
    """Registers a second engine beside MXNet."""
    monkeypatch.setitem(ENGINES, "second", SECOND)


@pytest.fixture
def gpus(register_worker):
    """A function that registers GPUs of one host with a worker, each with the engines that can use it."""

    def gpus(*engines):
        register_worker("train-a")
        rows = [Device(host="a", type="gpu", index=i, engines=names) for i, names in enumerate(engines)]
        Device.objects.bulk_create(rows)

    return gpus


def leased_devices(model):
    return list(Device.objects.filter(leased_to=model.pk).order_by("index"))


@pytest.mark.parametrize("fields, engine", [({}, "auto"), ({"engine": "auto"}, "auto"), ({"engine": "mxnet"}, "mxnet")])
def test_the_form_chooses_an_engine(client, form, fields, engine):
    response = client.post(CREATE, form(**fields)).json()
    model = TrainedModel.objects.get()
    assert (model.engine, model.usable_engines) == (engine, ["mxnet"])
    facts = client.get(f"/models/{response['id']}.json").json()
    assert facts["engine"] == engine
    assert "engine_used" not in facts


def test_an_unknown_engine_is_refused(client, form):
    errors = field_errors(client.post(CREATE, form(engine="caffe")))
    assert errors == {"engine": '"caffe" is not a valid choice. Choose auto, mxnet or torch.'}


def test_a_network_that_no_engine_can_train_is_refused_with_its_layer_types(client, form, monkeypatch):
    without = replace(ENGINES["mxnet"], layer_types=ENGINES["mxnet"].layer_types - {"Pooling"})
    monkeypatch.setitem(ENGINES, "mxnet", without)
    errors = field_errors(client.post(CREATE, form()))
    assert errors == {"standard_networks": "no engine can train this network: MXNet can't train layers of type Pooling"}


@pytest.mark.parametrize("field, value", [("precision", "bf16"), ("compile_network", "1")])
def test_mxnet_is_refused_what_only_another_engine_can_and_auto_takes_the_other(
    client, form, monkeypatch, field, value
):
    monkeypatch.setitem(ENGINES, "second", replace(SECOND, unsupported={}))
    errors = field_errors(client.post(CREATE, form(engine="mxnet", **{field: value})))
    assert list(errors) == [field]
    assert errors[field].startswith(f"MXNet can't train with {field} ")
    assert "second" in errors[field]
    client.post(CREATE, form(**{field: value}))
    assert "mxnet" not in TrainedModel.objects.get().usable_engines


def test_every_model_of_a_sweep_keeps_the_engines_that_can_train_it(client, form, second_engine):
    client.post(CREATE, form(learning_rate="0.1,0.01"))
    assert [model.usable_engines for model in TrainedModel.objects.all()] == [["mxnet", "second"]] * 2


def test_a_gpu_is_leased_only_to_a_model_whose_engine_can_use_it(second_engine, gpus, built_dataset, make_model):
    gpus(["second"], ["mxnet"])
    mxnet, either = make_model(built_dataset, engine="mxnet"), make_model(built_dataset)
    dispatch()
    assert [device.index for device in leased_devices(mxnet)] == [1]
    assert [device.index for device in leased_devices(either)] == [0]
    configured = [train_config(model, leased_devices(model)).engine for model in (mxnet, either)]
    assert configured == ["mxnet", "second"]


def test_a_gpu_that_no_engine_can_use_is_leased_to_no_model(gpus, built_dataset, make_model):
    gpus([])
    model = make_model(built_dataset)
    dispatch()
    assert leased_devices(model) == []
    assert [place.reason for place in overview()["queue"]] == ["waiting for a device that mxnet can use"]


def test_several_gpus_of_a_model_are_used_by_one_engine(second_engine, gpus, built_dataset, make_model):
    gpus(["mxnet"], ["second"], ["mxnet", "second"])
    model = make_model(built_dataset, select_gpu_count=2)
    dispatch()
    assert [device.index for device in leased_devices(model)] == [0, 2]
    assert train_config(model, leased_devices(model)).engine == "mxnet"


def test_gpus_that_no_engine_can_use_together_are_not_leased_together(second_engine, gpus, built_dataset, make_model):
    gpus(["mxnet"], ["second"])
    model = make_model(built_dataset, select_gpu_count=2)
    dispatch()
    assert leased_devices(model) == []


def test_a_gpu_that_the_engine_cannot_use_is_refused_by_the_form(client, form, gpus):
    gpus(["mxnet"], [])
    errors = field_errors(client.post(CREATE, form(select_gpu="1")))
    assert errors == {"select_gpu": "No host has GPU 1 to train on; there are: 0. mxnet can't use gpu1 of a."}


def test_a_device_whose_host_has_not_reported_its_engines_is_leased(gpus, built_dataset, make_model):
    gpus(None)
    model = make_model(built_dataset)
    dispatch()
    assert [device.index for device in leased_devices(model)] == [0]


def test_a_model_trained_without_workers_fails_at_once_if_its_engine_is_missing(built_dataset, make_model, monkeypatch):
    monkeypatch.setitem(ENGINES, "mxnet", replace(MISSING, name="mxnet"))
    monkeypatch.setattr(devices, "find_gpus", list)
    model = make_model(built_dataset)
    assert lease_here(model) == []
    model.refresh_from_db()
    reason = "This host has no device that mxnet can use; see manage.py doctor."
    assert (model.status, model.error) == (Status.ERROR, reason)


def test_json_page_and_log_of_a_model_name_the_engine_that_trained_it(
    client, built_dataset, make_model, run_training_task
):
    model = run_training_task(make_model(built_dataset))
    facts = client.get(f"/models/{model.pk}.json").json()
    assert (facts["engine"], facts["engine_used"]) == ("auto", "mxnet 1.9.1")
    assert "mxnet 1.9.1" in client.get(f"/models/{model.pk}", headers={"Accept": "text/html"}).content.decode()
    assert "engine: mxnet 1.9.1 on cpu (configured: mxnet)" in (model.directory / "train.log").read_text()
