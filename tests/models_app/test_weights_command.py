"""`manage.py weights`, and the admin's pages of pretrained models."""

import json
import threading
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from datasets.download import downloading
from datasets.download.downloading import Redirects
from digits_project.common.errors import Failed
from models_app.networks import STANDARD, Network, standard
from models_app.networks.pretrained.published_files import HUB_DOMAINS, PUBLISHED_FILES, of_torchvision
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


class Hub(SimpleHTTPRequestHandler):
    """A server of a folder that responds as a model hub does: it redirects to where a file lies, and reports its
    SHA-256 in the redirect."""

    digests: ClassVar[dict[str, str]] = {}  # {path: what it reports}
    targets: ClassVar[dict[str, str]] = {}  # {path: where it redirects to}
    requests: ClassVar[list[str]] = []

    def send_head(self):
        self.requests.append(f"{self.command} {self.path}")
        if self.path not in self.targets:
            return super().send_head()
        self.send_response(302)
        self.send_header("Location", self.targets[self.path])
        self.send_header("X-Linked-ETag", f'"{self.digests.get(self.path, "")}"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def log_message(self, *arguments):
        """Prints nothing."""


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """The address of a hub of the folder with the files."""
    for name, empty in (("digests", {}), ("targets", {}), ("requests", [])):
        monkeypatch.setattr(Hub, name, empty)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_published_weights_are_fetched_checked_and_added(run, file, mirror, monkeypatch):
    name = f"squeezenet-{sha256(file.read_bytes()).hexdigest()[:8]}.pth"
    file.rename(file.with_name(name))
    monkeypatch.setitem(PUBLISHED_FILES, "squeezenet", of_torchvision("squeezenet", name))
    run("fetch", "squeezenet", "--mirror", mirror)
    row = PretrainedModel.objects.get()
    assert (row.name, row.source) == (name.removesuffix(".pth"), f"file {name}")


@pytest.mark.parametrize("path, message", [("", "is not the published file"), ("/none", "can't be fetched")])
def test_another_file_or_none_says_how_to_add_it_by_hand(run, file, mirror, monkeypatch, path, message):
    file.rename(file.with_name("squeezenet-00000000.pth"))
    published = of_torchvision("squeezenet", "squeezenet-00000000.pth")
    monkeypatch.setitem(PUBLISHED_FILES, "squeezenet", published)
    with pytest.raises(CommandError) as failed:
        run("fetch", "squeezenet", "--mirror", mirror + path)
    assert message in str(failed.value)
    assert "Or fetch https://download.pytorch.org/models/squeezenet-00000000.pth on a host" in str(failed.value)
    assert "manage.py weights add NAME squeezenet-00000000.pth --network squeezenet" in str(failed.value)
    assert not PretrainedModel.objects.exists()


TIMM = "timm/mobilenetv2_100.ra_in1k"
PATH = f"/{TIMM}/resolve/main/model.safetensors"


@pytest.fixture
def stem(tmp_path, mirror):
    """A file of the hub with the first convolution of timm's MobileNet-v2; the hub redirects to it."""
    path = write_safetensors(tmp_path / "stored.bin", {"conv_stem.weight": np.ones((32, 3, 3, 3), np.float32)})
    Hub.targets[PATH], Hub.digests[PATH] = f"{mirror}/stored.bin?signature=1", sha256(path.read_bytes()).hexdigest()
    return path


def test_timms_weights_are_fetched_from_where_the_hub_redirects_and_checked_by_the_digest_that_it_reports(
    run, stem, mirror, capsys
):
    run("fetch", TIMM, "--mirror", mirror)
    row = PretrainedModel.objects.get()
    assert (row.name, row.standard_network) == ("mobilenetv2_100.ra_in1k", "mobilenet_v2")
    assert (row.source, row.taken_over) == ("file mobilenetv2_100.ra_in1k.safetensors", ["conv1"])
    assert Hub.requests == [f"HEAD {PATH}", f"GET {PATH}", "GET /stored.bin?signature=1"]


def test_the_digest_that_the_hub_reports_is_shown(stem, mirror, capsys):
    call_command("weights", "fetch", TIMM, "--mirror", mirror)
    assert f"SHA-256 {Hub.digests[PATH]}, as 127.0.0.1 reports it" in capsys.readouterr().err


def test_a_digest_that_the_user_names_counts_instead_of_the_hubs(run, stem, mirror):
    with pytest.raises(CommandError, match=f"its digest is {Hub.digests[PATH]}, not {'0' * 64}"):
        run("fetch", TIMM, "--mirror", mirror, "--sha256", "0" * 64)
    assert not any(request.startswith("HEAD") for request in Hub.requests)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda: Hub.digests.clear(),
            "has no X-Linked-ETag with the SHA-256 of the file. Name the digest with --sha256",
        ),
        (lambda: Hub.digests.update({PATH: "0" * 64}), "is not the published file: its digest is"),
        (lambda: Hub.targets.update({PATH: "http://127.0.0.2:9/x"}), "redirects to '127.0.0.2', from which nothing is"),
        (lambda: Hub.targets.update({PATH: "https://hf.co.example/x"}), "redirects to 'hf.co.example', from which"),
        (lambda: Hub.targets.update({PATH: PATH}), "can't be fetched: HTTP Error 302"),
        (lambda: Hub.targets.clear(), "can't be fetched: HTTP Error 404"),
    ],
    ids=["no digest", "another digest", "another address", "a similar name", "a circle", "no file"],
)
def test_a_hostile_hub_adds_nothing_and_the_message_says_what_to_do_instead(run, stem, mirror, change, message):
    change()
    with pytest.raises(CommandError) as failed:
        run("fetch", TIMM, "--mirror", mirror)
    assert message in str(failed.value)
    assert f"Or fetch https://huggingface.co{PATH} on a host with internet" in str(failed.value)
    assert "manage.py weights add NAME model.safetensors --network mobilenet_v2" in str(failed.value)
    assert not PretrainedModel.objects.exists()


def test_a_file_that_is_larger_than_any_published_one_is_not_downloaded(run, stem, mirror, monkeypatch):
    monkeypatch.setattr(downloading, "MAX_BYTES", 1000)
    with pytest.raises(CommandError, match="is larger than the largest published file"):
        run("fetch", TIMM, "--mirror", mirror)


def test_hosts_below_the_hubs_domains_are_followed_over_https_only():
    redirects = Redirects("https://huggingface.co/x", HUB_DOMAINS)
    for url in ("https://cas-bridge.xethub.hf.co/x", "https://cdn-lfs.huggingface.co/x", "https://huggingface.co/y"):
        redirects.check(url)
    for url in ("http://cas-bridge.xethub.hf.co/x", "https://hf.co.example/x", "https://nothf.co/x", "file:///etc/x"):
        with pytest.raises(Failed, match="from which nothing is fetched"):
            redirects.check(url)


def test_published_files_fit_a_standard_network_and_have_a_digest_or_a_hub_that_reports_one():
    assert {published.network for published in PUBLISHED_FILES.values()} <= set(STANDARD)
    assert {len(published.sha256) for published in PUBLISHED_FILES.values() if not published.domains} == {8}
    assert {len(published.sha256) for published in PUBLISHED_FILES.values() if published.domains} == {0, 64}


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
