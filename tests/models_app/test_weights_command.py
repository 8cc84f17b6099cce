"""`manage.py weights`, and the admin's pages of pretrained models."""

import json
import threading
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from models_app.networks import Network, standard
from models_app.networks.pretrained.published_files import PUBLISHED_FILES, PublishedFile
from models_app.networks.pretrained.torch_names import NAMINGS
from models_app.pretrained.pretrained_model import PretrainedModel
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.tensor_file_samples import write_safetensors, write_torch

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    """A file with random weights of torchvision's SqueezeNet for three categories."""
    naming = next(naming for naming in NAMINGS if naming.network == "squeezenet")
    names, found = naming.names(), random_weights(standard("squeezenet", (3, 64, 64), 3))
    return write_torch(tmp_path / "squeezenet.pth", {names[name]: array for name, array in found.items()})


@pytest.fixture
def run(capsys):
    """A function that runs the command and returns what it prints."""

    def run(*arguments):
        capsys.readouterr()
        call_command("weights", *map(str, arguments))
        return capsys.readouterr().out

    return run


def test_weights_are_added_listed_and_removed(run, file, tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    job_id = run("add", "mine", file, "--network", "squeezenet", "--labels", tmp_path / "labels.txt").strip()
    row = PretrainedModel.objects.get()
    assert (row.pk, row.name, row.labels, row.categories) == (job_id, "mine", ["a", "b", "c"], 3)
    assert "efficientnet_lite0" in run("list")
    listed = json.loads(run("--json", "list"))
    assert [one["id"] for one in listed["pretrained_models"]] == [job_id]
    assert [one["name"] for one in listed["installed"]] == ["efficientnet_lite0"]
    run("remove", job_id)
    assert not PretrainedModel.objects.exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["add", "mine", "missing.pth", "--network", "squeezenet"], "missing.pth can't be read: No such file"),
        (["add", "mine", "{file}"], "--network: Name a standard network"),
        (["add", "mine", "{file}", "--network", "lenet"], "has no weights for any layer of the network"),
        (["add", "mine", "{file}", "--prototxt", "{file}"], "squeezenet.pth is not UTF-8 text"),
        (["add", "mine", "{file}", "--network", "lenet", "--width", "0"], "--width: Ensure this value is greater than"),
        (["remove", "20261125-120000-0c1a"], "There is no pretrained model 20261125-120000-0c1a"),
    ],
)
def test_wrong_input_is_reported_with_its_option(run, file, arguments, message):
    with pytest.raises(CommandError) as refused:
        run(*(argument.format(file=file) for argument in arguments))
    assert message in str(refused.value)
    assert not PretrainedModel.objects.exists()


def test_weights_for_gray_images_are_added_with_the_size_of_the_images(run, tmp_path):
    tensors = random_weights(standard("lenet", (1, 32, 28), 10))
    path = write_safetensors(tmp_path / "lenet.safetensors", tensors)
    run("add", "gray", path, "--network", "lenet", "--image-type", "grayscale", "--height", 32)
    row = PretrainedModel.objects.get()
    assert (Network.from_dict(row.network).input_shape, row.afresh) == ((1, 32, 28), [])


@pytest.fixture
def mirror(file):
    """The address of a server of the folder with the file."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(file.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_published_weights_are_fetched_checked_and_added(run, file, mirror, monkeypatch):
    name = f"squeezenet-{sha256(file.read_bytes()).hexdigest()[:8]}.pth"
    file.rename(file.with_name(name))
    monkeypatch.setitem(PUBLISHED_FILES, "squeezenet", PublishedFile("squeezenet", name))
    run("fetch", "squeezenet", "--mirror", mirror)
    row = PretrainedModel.objects.get()
    assert (row.name, row.source) == (name.removesuffix(".pth"), f"file {name}")


@pytest.mark.parametrize("path, message", [("", "is not the published file"), ("/none", "can't be fetched")])
def test_another_file_or_none_says_how_to_add_it_by_hand(run, file, mirror, monkeypatch, path, message):
    file.rename(file.with_name("squeezenet-00000000.pth"))
    published = PublishedFile("squeezenet", "squeezenet-00000000.pth")
    monkeypatch.setitem(PUBLISHED_FILES, "squeezenet", published)
    with pytest.raises(CommandError) as failed:
        run("fetch", "squeezenet", "--mirror", mirror + path)
    assert message in str(failed.value)
    assert "manage.py weights add NAME squeezenet-00000000.pth --network squeezenet" in str(failed.value)
    assert not PretrainedModel.objects.exists()


def test_published_files_are_named_by_the_start_of_their_digest():
    assert {len(published.sha256_start) for published in PUBLISHED_FILES.values()} == {8}


def test_the_admins_form_for_models_leaves_the_mean_to_the_method_and_offers_pretrained_models(admin_client, run, file):
    job_id = run("add", "mine", file, "--network", "squeezenet").strip()
    page = admin_client.get("/admin/models_app/trainedmodel/add/").content.decode()
    assert '<select name="use_mean" id="id_use_mean"><option selected></option><option>none</option>' in page
    assert f'<option value="{job_id}">mine</option>' in page
    assert '<option value="efficientnet_lite0">' in page


def test_the_admin_makes_lists_and_shows_pretrained_models(admin_client, file):
    add = "/admin/models_app/pretrainedmodel/add/"
    assert b"weights_file" in admin_client.get(add).content
    with file.open("rb") as content:
        form = {"job_name": "mine", "standard_networks": "squeezenet", "weights_file": content, "image_type": "3"}
        made = admin_client.post(add, form)
    row = PretrainedModel.objects.get()
    assert made.status_code == 302
    page = admin_client.get(f"/admin/models_app/pretrainedmodel/{row.pk}/change/").content
    assert b"squeezenet" in page
    assert b"mine" in admin_client.get("/admin/models_app/pretrainedmodel/").content
