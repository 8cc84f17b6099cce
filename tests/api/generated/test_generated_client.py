"""A client that openapi-python-client generates from the schema: it is whole and its operations work."""

import contextlib
import importlib
import inspect
import io
import json
import re
import subprocess
import sys

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from datasets import reports
from datasets.tasks import make_report
from digits_project.jobs import lifecycle, services
from digits_project.jobs.models import Status
from digits_project.webhooks.models import Webhook
from inference.download import contents
from inference.tasks import evaluate
from models_app import evaluations
from models_app.pretrained import importing
from models_app.search.search_job import Search
from tests.support.samples.network_samples import CLASSIFIER
from tests.support.samples.row_samples import add_snapshot, image_list, move_weights_apart

pytestmark = [pytest.mark.slow(12), pytest.mark.timeout(300)]  # a busy machine takes long for each request
pytest.importorskip("openapi_python_client", reason="openapi-python-client needs Python 3.11")
httpx = pytest.importorskip("httpx")

BINARY = ["application/gzip", "application/x-tar", "application/x-bzip2", "application/zip", "image/png"]
CONFIG = {
    "package_name_override": "generated_client",
    "post_hooks": [],
    "content_type_overrides": dict.fromkeys(BINARY, "application/octet-stream") | {"image/svg+xml": "text/plain"},
}
OWN_NETWORK = CLASSIFIER.replace('top: "output"', 'top: "output" inner_product_param { num_output: 10 }')
FILE_NAMES = {"archive": "archive.tar.gz", "image_list": "images.txt", "weights_file": "weights.npz"}
SECRET = "whsec_" + "YWRh" * 8
CHANGES = re.compile("abort|resume|stop$|^delete")  # operations that need a job of their own
METHODS = ["get", "put", "post", "delete"]  # in the order of the requests


@pytest.fixture(scope="module")
def schema():
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


@pytest.fixture(scope="module")
def generated(schema, tmp_path_factory):
    """The name of the package, and what the generator printed."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / "config.json").write_text(json.dumps(CONFIG))  # JSON is YAML
    options = [
        "--path",
        "schema.json",
        "--config",
        "config.json",
        "--meta",
        "none",
        "--output-path",
        "generated_client",
    ]
    command = [sys.executable, "-m", "openapi_python_client", "generate", *options]
    printed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=110).stdout
    sys.path.insert(0, str(folder))
    yield importlib.import_module("generated_client"), printed
    sys.path.remove(str(folder))


def test_the_client_is_generated_without_warnings(generated):
    assert "Warning" not in generated[1]


def test_every_operation_of_the_client_works(generated, schema, client, sent_values):
    package, values = generated[0], sent_values
    operations = [
        (operation["operationId"], path, operation)
        for method in METHODS
        for path, methods in schema["paths"].items()
        if (operation := methods.get(method))
    ]
    operations.sort(key=lambda operation: order_of(operation[0]))
    failed = {}
    for name, path, operation in operations:
        module = importlib.import_module(f"generated_client.api.{operation['tags'][0]}.{name}")
        response = send(package, module, client, values(name, path))
        expected = 302 if "302" in operation["responses"] and "200" not in operation["responses"] else 200
        if response.status_code != expected or (expected == 200 and not response.content):
            failed[name] = response.status_code, response.content[:300]
        elif expected == 200 and response.parsed is None:
            failed[name] = "not parsed", response.content[:300]
    assert failed == {}
    assert len(operations) > 100


def order_of(name):
    """Deletions last; a job is aborted before it is resumed."""
    return METHODS.index(name.partition("_")[0]), name.endswith("_resume"), name


def send(package, module, client, values):
    """Call an operation with those of the values that it takes."""
    arguments = {}
    files = importlib.import_module(f"{package.__name__}.types")
    for name, parameter in inspect.signature(module.sync_detailed).parameters.items():
        if name == "body":
            body = re.match(r"[\w.]+", str(parameter.annotation).removeprefix("<class '"))[0].rpartition(".")[2]
            form = getattr(importlib.import_module(f"{package.__name__}.models"), body)
            known = inspect.signature(form).parameters
            fields = {field: value for field, value in values.items() if field.strip("[]") in known}
            arguments[name] = form.from_dict(fields)
            for field, value in fields.items():
                if isinstance(value, bytes):
                    setattr(
                        arguments[name],
                        field,
                        files.File(io.BytesIO(value), FILE_NAMES[field], "application/octet-stream"),
                    )
        elif name != "client" and name in values:
            arguments[name] = values[name]
    return module.sync_detailed(client=client, **arguments)


@pytest.fixture
def client(generated):
    """The client, whose requests go to the WSGI application of this process."""

    def application(environ, start_response):
        with contextlib.closing(get_wsgi_application()(environ, start_response)) as response:
            return [b"".join(response)]

    client = generated[0].Client(base_url="http://testserver")
    with httpx.Client(transport=httpx.WSGITransport(application), base_url="http://testserver") as sender:
        yield client.set_httpx_client(sender)


@pytest.fixture
def sent_values(transactional_db, open_server, settings, make_built, make_dataset, make_model, digits_folder):
    """A function that returns {field or parameter: value} for an operation and its path."""
    settings.DIGITS_DATA_ROOTS = [digits_folder, settings.DIGITS_JOBS_DIR]
    settings.DIGITS_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    dataset = make_built()
    make_report(reports.start(dataset, "ada").pk)  # before jobs that wait, to which it would give way
    makers = {
        "pretrained": lambda: importing.from_snapshot("ada", with_snapshot(make_model(dataset)), "p"),
        "searches": lambda: search_on(dataset),
        "evaluations": lambda: evaluations.evaluate(
            with_snapshot(make_model(dataset)).trained_model, "val", owner="ada"
        ),
        "snapshots": lambda: with_snapshot(make_model(dataset)).trained_model,
        "datasets": make_dataset,
        "models": lambda: make_model(dataset),
    }
    jobs = {kind: make() for kind, make in makers.items() if kind not in ("datasets", "models")}
    snapshot = with_snapshot(make_model(dataset))
    jobs |= {"files": dataset, "datasets": dataset, "models": snapshot.trained_model}
    other = evaluations.evaluate(jobs["models"], "val", owner="ada")
    for evaluation in (other, jobs["evaluations"]):
        evaluate(evaluation.pk)
    common = form_values(dataset, snapshot, digits_folder)
    common["other"] = other.pk
    common["ids"] = f"{jobs['models'].pk},{make_model(dataset).pk}"

    def values(name, path):
        kind = next((kind for kind in (*jobs, *makers) if f"/{kind}" in path), "models")
        job = makers[kind]() if CHANGES.search(name) else jobs[kind]
        if name.endswith("resume"):
            services.abort(job)
        if name.endswith("stop"):
            lifecycle.advance(job, Status.RUNNING)
        if "webhook_id" in path:
            common["webhook_id"] = Webhook.objects.create(url=common["url"], secret=SECRET, events=["job.done"]).pk
        return common | {"job_id": job.pk, "job_ids[]": [job.pk], "job_ids": [job.pk]}

    return values


def with_snapshot(model):
    """A snapshot of the model, which is Done then."""
    snapshot = add_snapshot(model, epoch=1, seed=0)
    lifecycle.advance(model, Status.RUNNING, worker="host/1/1")
    lifecycle.advance(model, Status.DONE)
    return snapshot


def search_on(dataset):
    form = {"model_name": "s", "dataset": dataset.pk, "standard_networks": "lenet", "learning_rate": "0.001..0.1 log"}
    return Search.objects.get(pk=Client().post("/models/images/classification.json", form).json()["id"])


def form_values(dataset, snapshot, digits_folder):
    """{field or parameter: value}; bytes are sent as a file."""
    with contextlib.closing(contents.archive(snapshot, "tar.gz")) as archive:
        packed = b"".join(archive)
    image = str(digits_folder / "3" / "0.png")
    return {
        "dataset": dataset.pk,
        "dataset_name": "d",
        "exclude": ["train/0"],
        "relabel": {},
        "before": dataset.pk,
        "model_name": "m",
        "job_name": "j",
        "group_name": "g",
        "username": "ada",
        "standard_networks": "lenet",
        "network": "lenet",
        "custom_network": OWN_NETWORK,
        "folder_train": str(digits_folder),
        "prebuilt_train_images": str(dataset.directory / "train.rec"),
        "image": "train/1",
        "image_path": image,
        "image_list": image_list(image),
        "snapshot_epoch": 1.0,
        "epoch": "1",
        "archive": packed,
        "weights_file": move_weights_apart(snapshot).read_bytes(),
        "image_type": "grayscale",
        "width": 28,
        "height": 28,
        "form": "zip",
        "path": "labels.txt",
        "train_epochs": 1,
        "url": "http://127.0.0.1:9/",
        "active": True,
    }
