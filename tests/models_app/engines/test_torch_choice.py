"""PyTorch as the engine of a model: when it is chosen, and what a user reads where it is missing."""

import json

import pytest

from digits_project.jobs.models import Device
from digits_project.jobs.scheduling import devices
from digits_project.jobs.scheduling.dispatch import dispatch
from digits_project.monitoring import engine_checks
from models_app.models import TrainedModel
from models_app.training import engines
from models_app.training.engines import registry
from models_app.training_task import train_config
from tests.support.api_requests import field_errors
from tests.support.engines.torch_environment import write_python

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server", "torch_python")]
CREATE = "/models/images/classification.json"
HOPPER, BLACKWELL, AMPERE = (9, 0), (12, 0), (8, 6)
INSTALL = "{python} -m pip install -r requirements/torch.txt"
AGAIN = "{python} -m pip install --force-reinstall -r requirements/torch.txt"
MXNET_WITHOUT_GPU = "MXNet 1.9.1 is installed without code for GPUs (pip install --no-deps -r requirements/gpu.txt)"


@pytest.fixture
def torch_python(tmp_path, monkeypatch):
    """A program that pretends to be a Python with PyTorch; a test can write another one in its place."""
    path = tmp_path / "python"
    monkeypatch.setitem(registry.PYTHONS, "torch", write_python(path))
    return path


@pytest.fixture
def form(make_dataset):
    """A function that returns a valid form with further fields."""

    def form(**fields):
        return {"model_name": "lenet", "dataset": make_dataset().pk, "standard_networks": "lenet", **fields}

    return form


@pytest.fixture
def this_host(monkeypatch, register_worker, settings):
    """A function that registers this host, with GPUs of these compute capabilities, and a train worker of it."""

    def register(*capabilities):
        gpus = [devices.Gpu(index, "sample", 80 << 30, capability) for index, capability in enumerate(capabilities)]
        monkeypatch.setattr(devices, "find_gpus", lambda: gpus)
        register_worker(f"train-{settings.DIGITS_HOST_NAME}")
        return {row.label: row for row in devices.register()}

    return register


@pytest.mark.parametrize("capability", [HOPPER, BLACKWELL])
def test_a_new_gpu_is_leased_to_a_model_that_pytorch_then_trains(this_host, built_dataset, make_model, capability):
    this_host(capability)
    model = make_model(built_dataset)
    dispatch()
    held = devices.held_by(model)
    assert [device.label for device in held] == ["gpu0"]
    assert train_config(model, held).engine == "torch"


def test_a_new_gpu_is_leased_to_no_model_that_insists_on_mxnet(this_host, built_dataset, make_model):
    this_host(HOPPER)
    model = make_model(built_dataset, engine="mxnet")
    dispatch()
    assert devices.held_by(model) == []


def test_the_row_of_a_device_says_what_each_engine_is_and_why_it_can_not_use_it(this_host):
    assert this_host(HOPPER)["gpu0"].engine_reports == {
        "mxnet": {"title": "MXNet", "version": "1.9.1", "obstacle": MXNET_WITHOUT_GPU},
        "torch": {"title": "PyTorch", "version": "2.14.1", "obstacle": ""},
    }


def test_mxnet_trains_on_the_cpu_where_both_can(this_host, built_dataset, make_model):
    this_host()
    model = make_model(built_dataset)
    dispatch()
    assert model.usable_engines == ["mxnet", "torch"]
    assert train_config(model, devices.held_by(model)).engine == "mxnet"


def test_a_host_without_mxnet_trains_with_pytorch(this_host, built_dataset, make_model, monkeypatch):
    monkeypatch.setattr(type(engines.ENGINES["mxnet"]), "is_importable", lambda engine: engine.name != "mxnet")
    assert this_host()["cpu"].engines == ["torch"]
    model = make_model(built_dataset)
    dispatch()
    assert train_config(model, devices.held_by(model)).engine == "torch"


def test_without_an_engine_the_form_is_refused_with_what_to_install(
    client, form, this_host, torch_python, monkeypatch, settings
):
    monkeypatch.setattr(type(engines.ENGINES["mxnet"]), "is_importable", lambda engine: engine.name != "mxnet")
    write_python(torch_python, lacks=("torch",))
    this_host()
    assert field_errors(client.post(CREATE, form())) == {
        "engine": (
            f"No host has a device to train on. cpu of {settings.DIGITS_HOST_NAME}: MXNet is not installed "
            f"(pip install --no-deps -r requirements/worker.txt); PyTorch is not installed in {torch_python} "
            f"({torch_python} -m pip install -r requirements/torch.txt). `manage.py doctor` on that host says more."
        )
    }


@pytest.mark.parametrize(
    "facts, reason",
    [
        ({"lacks": ("torch",)}, f"PyTorch is not installed in {{python}} ({INSTALL})"),
        ({"cuda": ""}, f"PyTorch 2.14.1 in {{python}} is built without CUDA ({AGAIN})"),
        ({"broken": "ImportError: libc10.so"},
         f"PyTorch does not load in {{python}}: ImportError: libc10.so ({AGAIN})"),
    ],
)  # fmt: skip
def test_a_gpu_that_pytorch_can_not_use_is_refused_with_the_reason(
    client, form, this_host, torch_python, settings, facts, reason
):
    write_python(torch_python, **facts)
    this_host(HOPPER)
    Device.objects.update(enabled=True)
    [message] = field_errors(client.post(CREATE, form(select_gpu="0"))).values()
    reasons = f"{MXNET_WITHOUT_GPU}; {reason.format(python=torch_python)}"
    assert message == (
        f"No host has GPU 0 to train on; there are: none. gpu0 of {settings.DIGITS_HOST_NAME}: {reasons}."
    )


@pytest.mark.parametrize("fields", [{"precision": "bf16"}, {"standard_networks": "timm/resnet10t"}])
def test_a_training_that_only_pytorch_can_do_is_refused_where_it_is_missing(
    client, form, this_host, torch_python, settings, fields
):
    write_python(torch_python, lacks=("torch",))
    this_host()
    assert field_errors(client.post(CREATE, form(**fields))) == {
        "engine": (
            "Only PyTorch can train this model. No host has a device to train on. "
            f"cpu of {settings.DIGITS_HOST_NAME}: PyTorch is not installed in {torch_python} "
            f"({INSTALL.format(python=torch_python)}). `manage.py doctor` on that host says more."
        )
    }


@pytest.mark.parametrize("framework", ["torch", "pytorch"])
def test_the_framework_of_a_digits_script_chooses_pytorch(client, form, this_host, framework):
    this_host()
    client.post(CREATE, form(framework=framework))
    model = TrainedModel.objects.get()
    assert (model.framework, model.engine, model.usable_engines) == ("mxnet", "torch", ["torch"])


@pytest.mark.parametrize(
    "fields",
    [{}, {"framework": "caffe"}, {"framework": "mxnet"}, {"framework": "tensorflow"},
     {"framework": "torch", "engine": "auto"}],
)  # fmt: skip
def test_other_frameworks_leave_the_engine_to_the_server(client, form, this_host, fields):
    this_host()
    client.post(CREATE, form(**fields))
    model = TrainedModel.objects.get()
    assert (model.framework, model.engine) == ("mxnet", "auto")


def test_a_digits_script_for_torch_still_trains_where_no_host_has_pytorch(client, form, this_host, torch_python):
    write_python(torch_python, lacks=("torch",))
    this_host()
    client.post(CREATE, form(framework="torch"))
    assert TrainedModel.objects.get().engine == "auto"


def test_the_setting_digits_engine_makes_auto_prefer_pytorch(client, form, this_host, monkeypatch):
    monkeypatch.setattr(registry, "PREFERRED", ["torch"])
    assert this_host()["cpu"].engines == ["torch", "mxnet"]
    client.post(CREATE, form())
    model = TrainedModel.objects.get()
    assert (model.engine, model.usable_engines) == ("auto", ["torch", "mxnet"])


def test_a_model_whose_engine_was_removed_meanwhile_fails_with_what_to_install(
    this_host, built_dataset, make_model, run_training_task, torch_python
):
    this_host()
    model = make_model(built_dataset, engine="torch")
    write_python(torch_python, lacks=("torch", "numpy"), version=(3, 12))
    done = run_training_task(model)
    assert done.status == "Error"
    assert done.error.startswith(f"PyTorch is not installed in {torch_python} ({torch_python} -m pip install ")


def test_a_model_whose_engine_no_host_has_any_more_says_what_it_waits_for(
    client, admin_client, this_host, built_dataset, make_model, torch_python, settings
):
    this_host()
    model = make_model(built_dataset, engine="torch")
    write_python(torch_python, lacks=("torch",), version=(3, 12))
    devices.register()
    reason = (
        f"waiting for a device that torch can use: cpu of {settings.DIGITS_HOST_NAME}: PyTorch is not installed in "
        f"{torch_python} ({torch_python} -m pip install -r requirements/torch.txt). Restart the train worker of that "
        "host afterwards."
    )
    assert client.get(f"/models/{model.pk}.json").json()["waiting_reason"] == reason
    for page in (f"/models/{model.pk}", f"/admin/models_app/trainedmodel/{model.pk}/change/", "/admin/"):
        assert reason in admin_client.get(page, headers={"Accept": "text/html"}).content.decode()
    [finding] = engine_checks.waiting_jobs()
    assert (finding.state, finding.text) == ("warning", f"lenet: {reason}")


@pytest.fixture
def trainer_of(torch_python):
    """A function that makes the trainer of PyTorch run these lines of a shell script."""

    def trainer_of(lines):
        torch_python.rename(f"{torch_python}.real")
        torch_python.write_text(f"""#!/bin/sh
case "$*" in
    *models_app.training*) {lines} ;;
    *) exec '{torch_python}.real' "$@" ;;
esac
""")
        torch_python.chmod(0o755)

    return trainer_of


def test_the_trainer_of_pytorch_runs_in_its_own_python(
    this_host, built_dataset, make_model, run_training_task, trainer_of
):
    this_host()
    model = make_model(built_dataset, engine="torch")
    event = json.dumps({"event": "error", "blame": "host", "message": "This is the other Python."})
    trainer_of(f"echo '{event}'")
    assert run_training_task(model).error == "This is the other Python."


def test_a_trainer_that_ends_by_itself_did_not_run_out_of_memory(
    this_host, built_dataset, make_model, run_training_task, trainer_of
):
    this_host()
    model = make_model(built_dataset, engine="torch")
    trainer_of("exit 3")
    reason = run_training_task(model).status_history[-1][2]
    assert "The trainer ended with exit status 3; train.log says why." in reason
    assert "memory" not in reason
