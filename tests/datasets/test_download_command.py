"""The command download_data with a local HTTP server: small files in the published formats, interrupted and damaged."""

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from datasets.download import published_sets
from datasets.download.downloading import download
from datasets.download.published_sets import CLOTHES, PUBLISHED, Published
from digits_project.common.errors import BadInput, Failed

PICTURES = np.arange(6 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(6, 28, 28)
LABELS = np.array([0, 1, 2, 9, 9, 0], np.uint8)


def idx(array):
    """A compressed IDX file, the format of MNIST."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes())


def mnist():
    """{file name: content}: the four files of MNIST with four images for training and two for test."""
    return {
        "train-images-idx3-ubyte.gz": idx(PICTURES[:4]),
        "train-labels-idx1-ubyte.gz": idx(LABELS[:4]),
        "t10k-images-idx3-ubyte.gz": idx(PICTURES[4:]),
        "t10k-labels-idx1-ubyte.gz": idx(LABELS[4:]),
    }


def tar(**members):
    """A tar.gz file; __ in the name of an argument stands for a dot."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"folder/{name.replace('__', '.')}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def record(*labels, colour):
    """A CIFAR record in which every pixel has the same colour."""
    return bytes(labels) + b"".join(bytes([value]) * 1024 for value in colour)


@pytest.fixture
def serve():
    """A function that serves {name: content} and returns the base URL and the list of (name, Range) of the requests."""
    with contextlib.ExitStack() as servers:

        def start(files, cut_after=None, ranges=True):
            requests = []

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self):
                    name, byte_range = self.path.rpartition("/")[2], self.headers.get("Range")
                    requests.append((name, byte_range))
                    body = files.get(name)
                    if body is None:
                        self.send_error(404)
                        return
                    first = int(byte_range[6:-1]) if byte_range and ranges else 0
                    self.send_response(206 if first else 200)
                    self.send_header("Content-Length", str(len(body) - first))
                    if first:
                        self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
                    self.end_headers()
                    self.wfile.write(body[first : first + cut_after] if cut_after else body[first:])

                def log_message(self, *words):
                    pass

            server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            servers.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/data", requests

        yield start


@pytest.fixture
def publish(serve, monkeypatch):
    """A function that replaces the published files of a set by these, and returns the list of requests for them."""

    def publish(name, files, **options):
        base, requests = serve(files, **options)
        digests = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
        monkeypatch.setitem(PUBLISHED, name, Published(base, digests, PUBLISHED[name].read))
        return requests

    return publish


def pixels(path):
    return np.asarray(Image.open(path))


def test_download_data_writes_mnist_as_folders_of_images(publish, tmp_path, capsys):
    publish("mnist", mnist())
    call_command("download_data", "mnist", tmp_path / "mnist", "--json")
    assert json.loads(capsys.readouterr().out)["images"] == {"train": 4, "test": 2}
    paths = sorted(str(path.relative_to(tmp_path / "mnist")) for path in tmp_path.rglob("*.png"))
    assert paths == [
        "test/0/00001.png", "test/9/00000.png",
        "train/0/00000.png", "train/1/00001.png", "train/2/00002.png", "train/9/00003.png",
    ]  # fmt: skip
    assert (pixels(tmp_path / "mnist/train/2/00002.png") == PICTURES[2]).all()
    assert not (tmp_path / "mnist/.download").exists()


def test_download_data_names_the_categories_of_fashion_mnist(publish, tmp_path):
    publish("fashion-mnist", mnist())
    call_command("download_data", "fashion-mnist", tmp_path)
    assert {path.name for path in (tmp_path / "train").iterdir()} == {CLOTHES[label] for label in LABELS[:4]}


def test_download_data_writes_the_colours_of_cifar_and_the_fine_labels(publish, tmp_path):
    batches = {f"data_batch_{n}__bin": record(n % 2, colour=(10 * n, 20, 30)) for n in range(1, 6)}
    ten_categories = tar(**batches, test_batch__bin=record(0, colour=(1, 2, 3)), batches__meta__txt=b"cat\ndog\n\n")
    publish("cifar10", {"cifar-10-binary.tar.gz": ten_categories})
    call_command("download_data", "cifar10", tmp_path / "ten")
    assert pixels(tmp_path / "ten/train/dog/00002.png").reshape(-1, 3).tolist() == [[30, 20, 30]] * 1024
    hundred_categories = tar(
        train__bin=record(7, 1, colour=(1, 2, 3)), test__bin=record(9, 0, colour=(4, 5, 6)),
        fine_label_names__txt=b"apple\nbear\n",
    )  # fmt: skip
    publish("cifar100", {"cifar-100-binary.tar.gz": hundred_categories})
    call_command("download_data", "cifar100", tmp_path / "hundred")
    assert {path.parent.name for path in (tmp_path / "hundred").rglob("*.png")} == {"bear", "apple"}


def test_an_interrupted_download_continues_where_it_stopped(serve, tmp_path):
    content = bytes(range(256)) * 40
    base, requests = serve({"file": content}, cut_after=3000)
    md5 = hashlib.md5(content).hexdigest()
    download(f"{base}/file", md5, tmp_path / "file", lambda here, total: None)
    assert (tmp_path / "file").read_bytes() == content
    assert requests == [("file", None), *(("file", f"bytes={n}-") for n in (3000, 6000, 9000))]
    download(f"{base}/file", md5, tmp_path / "file", lambda here, total: None)
    assert len(requests) == 4


def test_a_download_from_a_server_without_range_requests_starts_again(serve, tmp_path):
    base, _ = serve({"file": b"0123456789"}, ranges=False)
    (tmp_path / "file.part").write_bytes(b"01234")
    download(f"{base}/file", hashlib.md5(b"0123456789").hexdigest(), tmp_path / "file", lambda here, total: None)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_download_with_a_wrong_digest_is_rejected_and_deleted(serve, tmp_path):
    base, _ = serve({"file": b"not what was published"})
    with pytest.raises(Failed, match="is not the published file"):
        download(f"{base}/file", "0" * 32, tmp_path / "file", lambda here, total: None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_download_fails_after_one_request(serve, tmp_path):
    base, requests = serve({})
    with pytest.raises(CommandError, match="404") as error:
        call_command("download_data", "mnist", tmp_path, "--mirror", base)
    assert (error.value.returncode, len(requests)) == (1, 1)


@pytest.mark.parametrize("mirror", ["file:///etc", "ftp://127.0.0.1"])
def test_download_data_accepts_only_http_and_https_mirrors(mirror, tmp_path):
    with pytest.raises(CommandError, match="not an http or https address") as error:
        call_command("download_data", "mnist", tmp_path, "--mirror", mirror)
    assert error.value.returncode == 2


@pytest.mark.parametrize("names", [b"../../etc\ncat\n", b"..\ncat\n", b"a/b\ncat\n", b""])
def test_an_invalid_category_name_in_a_download_is_rejected(names, tmp_path):
    content = tar(train__bin=record(0, 0, colour=(1, 2, 3)), fine_label_names__txt=names)
    (tmp_path / "cifar-100-binary.tar.gz").write_bytes(content)
    with pytest.raises(BadInput, match="has a category name that can't name a folder"):
        list(published_sets.cifar100(tmp_path, "train"))


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        tar(fine_label_names__txt=b"cat\n"),
        tar(train__bin=record(0, 0, colour=(1, 2, 3))[:-1], fine_label_names__txt=b"cat\n"),
        tar(train__bin=record(0, 5, colour=(1, 2, 3)), fine_label_names__txt=b"cat\n"),
    ],
)
def test_a_damaged_downloaded_archive_is_reported(content, tmp_path):
    (tmp_path / "cifar-100-binary.tar.gz").write_bytes(content)
    with pytest.raises(BadInput, match="is damaged"):
        list(published_sets.cifar100(tmp_path, "train"))


@pytest.mark.parametrize("name, content", [("images-idx3", b"no gzip"), ("labels-idx1", idx(LABELS[:3]))])
def test_a_damaged_downloaded_idx_file_is_reported(name, content, tmp_path):
    for file, good in mnist().items():
        (tmp_path / file).write_bytes(content if file == f"train-{name}-ubyte.gz" else good)
    with pytest.raises(BadInput, match=r"damaged|do not belong"):
        list(PUBLISHED["mnist"].read(tmp_path, "train"))


def test_download_data_does_not_download_a_complete_set_again(publish, tmp_path, capsys):
    requests = publish("mnist", mnist())
    call_command("download_data", "mnist", tmp_path)
    first = len(requests)
    call_command("download_data", "mnist", tmp_path)
    assert len(requests) == first == 4
    assert f"{tmp_path}/train: 4 images" in capsys.readouterr().out


def test_each_published_set_has_digests_and_an_https_url():
    digests = [md5 for published in PUBLISHED.values() for md5 in published.files.values()]
    assert len(set(digests)) == 10
    assert all(published.digests and published.base.startswith("https://") for published in PUBLISHED.values())
