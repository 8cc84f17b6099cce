"""The client against a whole server: a folder sent with interruptions, a training that is followed with a bar, answers,
downloads, and jobs that fail or are aborted."""

import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
import tracemalloc

import onnxruntime
import pytest

from digits_client import ConnectionFailed, JobAborted, JobFailed, NotFound, Server, WaitTimeout, following
from digits_client.folder_tar import FolderTar
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import ROOT, RunningServer
from tests.support.services import temporary_home

pytestmark = [pytest.mark.trainer, pytest.mark.slow(8), pytest.mark.timeout(300)]
LENET = {"recipe": "classic", "standard_networks": "lenet", "batch_size": 16, "random_seed": 1}
SIZE = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


class CuttingProxy:
    """Forwards connections to a server, and cuts those that send after so many bytes, as often as `cuts` says."""

    def __init__(self, port, after, cuts):
        self._port, self._after, self.cuts = port, after, cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._copy, args=(server, client, False), daemon=True).start()
                threading.Thread(target=self._copy, args=(client, server, True), daemon=True).start()

    def _copy(self, source, target, counts):
        sent = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                sent += len(data)
                if counts and self.cuts and sent > self._after:
                    self.cuts -= 1
                    break
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture(scope="module")
def running():
    """A running server and a folder of 120 digits."""
    with temporary_home() as home, RunningServer(home, 0) as server:
        yield server, write_28_pixel_digits(home / "digits")


@pytest.fixture(scope="module")
def server(running):
    with Server(running[0].url) as server:
        yield server


@pytest.fixture(scope="module")
def digits(running):
    return running[1]


@pytest.fixture(scope="module")
def dataset(server, digits):
    """The digits, sent in pieces."""
    return server.datasets.create_from_folder(digits, progress=False, **SIZE).wait(progress=False)


@pytest.fixture(scope="module")
def trained(server, dataset):
    """A model that is Done, and what wait() wrote to a terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Terminal())
        model = server.models.train(dataset, "lenet", train_epochs=2, **LENET).wait()
        return model, sys.stderr.getvalue()


@pytest.fixture(scope="module")
def model(trained):
    return trained[0]


# --- uploads ----------------------------------------------------------------------------------------------------------
def test_a_folder_becomes_a_dataset(dataset):
    assert (dataset.name, dataset.status, dataset.images) == ("digits", "Done", {"train": 90, "val": 30})
    assert [(category.name, category.train) for category in dataset.categories][:2] == [("0", 9), ("1", 9)]
    assert dataset.settings["resize_width"] == 28


def test_an_upload_that_is_cut_twice_arrives_whole(running, digits):
    proxy = CuttingProxy(int(running[0].url.rstrip("/").rpartition(":")[2]), after=20_000, cuts=2)
    with contextlib.closing(proxy), Server(proxy.url) as server:
        upload = server.uploads.send(digits, progress=False, piece=30_000)
        assert (proxy.cuts, upload.complete, upload.length) == (0, True, FolderTar(digits).length)
        content = running[0].home / "jobs" / ".uploads" / upload.id / "content"
        assert content.read_bytes() == FolderTar(digits).read(0, upload.length)
        server.uploads.delete(upload)


def test_an_upload_holds_a_few_pieces_in_memory(server, tmp_path):
    with (tmp_path / "large.tar").open("wb") as file:
        file.truncate(24 << 20)
    tracemalloc.start()
    upload = server.uploads.send(tmp_path / "large.tar", progress=False, piece=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (upload.complete, peak < 6 << 20) == (True, True), peak
    server.uploads.delete(upload)


def test_an_upload_that_gave_up_goes_on_where_it_stopped(running, server, digits):
    proxy = CuttingProxy(int(running[0].url.rstrip("/").rpartition(":")[2]), after=70_000, cuts=1000)
    with contextlib.closing(proxy), Server(proxy.url) as cut, pytest.raises(ConnectionFailed):
        cut.uploads.send(digits, progress=False, piece=30_000, patience=0.2)
    (stopped,) = server.uploads.list()
    assert 0 < stopped.offset < stopped.length
    finished = server.uploads.send(digits, progress=False)
    assert (finished.id, server.uploads.get(finished).complete) == (stopped.id, True)
    server.uploads.delete(finished)
    with pytest.raises(NotFound):
        server.uploads.get(finished)


# --- waiting ----------------------------------------------------------------------------------------------------------
def test_a_training_is_followed_with_a_bar(trained):
    model, written = trained
    last = written.rstrip("\n").rpartition("\r")[2].rstrip()
    assert last.startswith("lenet  Done  ━━━━━━━━━━━━━━━━━━━━━━━━ 100 %")
    assert f"accuracy {100 * model.accuracy:.1f} %" in last
    assert written.endswith("\n")


def test_a_job_is_polled_where_there_is_no_stream(server, digits, monkeypatch):
    monkeypatch.setattr(following.events, "path_of", lambda *arguments: "/no/such/address")
    polled = server.datasets.create("polled", folder_train=str(digits), **SIZE)
    assert polled.wait(progress=False).status == "Done"
    polled.delete()


def test_a_wait_without_a_terminal_prints_lines(server, model, capsys):
    model.wait()
    assert capsys.readouterr().err.splitlines() == [
        f"lenet  Done  {'━' * 24} 100 %  accuracy {100 * model.accuracy:.1f} %"
    ]


def test_a_job_that_fails_raises_the_explanation_of_the_server(server, tmp_path):
    (tmp_path / "cats").mkdir()
    for name in "ab":
        (tmp_path / "cats" / f"{name}.png").write_text("no image")
    with pytest.raises(JobFailed, match="failed: ") as caught:
        server.datasets.create_from_folder(tmp_path, progress=False).wait(progress=False)
    assert caught.value.error == caught.value.job.error != ""
    assert caught.value.job.status == "Error"
    caught.value.job.delete()


def test_a_wait_goes_on_when_the_web_server_is_killed_until_it_takes_too_long(running, server, model):
    long = server.models.train(model.dataset, "long", train_epochs=5000, **LENET)
    killing = threading.Timer(0.3, running[0].child("gunicorn").kill)
    killing.start()
    with pytest.raises(WaitTimeout, match="after 3 seconds"):
        long.wait(progress=False, timeout=3)
    killing.join()
    assert long.wait_for_start(timeout=60).status == "Running"
    assert not long.refresh().has_ended
    long.abort()
    with pytest.raises(JobAborted):
        long.wait(progress=False)
    assert long.wait(progress=False, check=False).status == "Aborted"
    long.delete()


# --- a model ----------------------------------------------------------------------------------------------------------
def test_images_are_classified_in_their_order(model, digits):
    paths = [digits / "3" / "0.png", digits / "7" / "1.png", (digits / "4" / "2.png").read_bytes()]
    results = model.classify(paths)
    assert [result.image for result in results] == [str(paths[0]), str(paths[1]), "image 3"]
    assert results[0] == model.classify_one(paths[0], snapshot="best")
    assert all(100 >= result.confidence >= result.predictions[-1].confidence for result in results)
    on_server = model.classify_on_server(["3/0.png", "7/1.png"], folder=str(digits))
    assert [each.category for each in on_server] == [each.category for each in results[:2]]


def test_an_image_that_can_not_be_read_is_an_exception_or_left_out(model, digits):
    images = [digits / "3" / "0.png", b"no image"]
    with pytest.raises(Exception, match="image"):
        model.classify(images)
    assert len(model.classify(images, skip_unreadable=True)) == 1
    with pytest.raises(TypeError, match=r"classify_one\(\)"):
        model.classify("3/0.png")


def test_a_model_is_downloaded_as_archive_and_as_onnx(model, tmp_path):
    archive = model.download(tmp_path / "model.tar.gz")
    network = model.download(tmp_path / "model.onnx", snapshot=model.snapshot().epoch)
    with tarfile.open(archive) as opened:
        assert opened.extractfile("model.onnx").read() == network.read_bytes()
        assert json.load(opened.extractfile("info.json"))["epoch"] == model.snapshot("default").epoch
    session = onnxruntime.InferenceSession(network)
    assert session.get_inputs()[0].shape[1:] == [1, 28, 28]
    with pytest.raises(ValueError, match=r"must end in \.tar\.gz"):
        model.download(tmp_path / "model.rar")
    with pytest.raises(Exception, match="no snapshot of epoch 77"):
        model.download(tmp_path / "none.zip", snapshot=77)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.tar.gz"]


def test_a_model_is_evaluated_and_compared(server, model):
    evaluation = model.evaluate().wait(progress=False)
    assert evaluation.accuracy == pytest.approx(model.snapshot().accuracy, abs=1e-4)
    assert sum(map(sum, evaluation.confusion_matrix)) == evaluation.images == 30
    assert model.evaluations() == [evaluation]
    again = model.train_again("other", learning_rate=0.001)
    compared = server.models.compare(model, again)
    assert compared.differences["learning_rate"] == ("0.01", "0.001")
    assert compared.evaluations == (evaluation, None)
    assert "learning_rate" in str(compared)
    again.abort().wait(progress=False, check=False).delete()


def test_a_snapshot_is_published_and_the_model_is_renamed(server, model):
    pretrained = model.publish("best", name="digits for others")
    assert (pretrained.status, pretrained.refresh().network) == ("Done", "lenet")
    model.rename("renamed").annotate("two epochs").move_to("tests")
    assert (model.name, model.notes, model.group) == ("renamed", "two epochs", "tests")
    assert server.models.find("renamed") == model
    assert [job.id for job in server.models.list(group="tests")] == [model.id]
    model.rename("lenet")
    pretrained.delete()


def test_a_list_is_fetched_page_by_page(server, dataset, digits):
    other = server.datasets.create("other", folder_train=str(digits), **SIZE)
    listed = server.datasets.list(page_size=1)
    found = list(listed)
    assert len(found) == len(listed) == len({job.id for job in found}) >= 2
    assert {dataset.id, other.id} <= {job.id for job in found}
    server.delete(other)


def test_the_notebook_runs_from_top_to_bottom(running, tmp_path):
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    environment = os.environ | {"DIGITS_URL": running[0].url, "PYTHONPATH": str(ROOT / "client")}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^(9\d|100)\.\d % of the validation images are classified right$", run.stdout, re.M)
    assert {"digits.tar.gz", "digits.onnx"} <= {path.name for path in tmp_path.iterdir()}


def test_a_lost_connection_is_an_exception(monkeypatch):
    monkeypatch.setattr("digits_client.connection.MAX_PAUSE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Server(f"127.0.0.1:{port}") as nobody, pytest.raises(ConnectionFailed, match="Is the server running"):
        nobody.datasets.list().first()
