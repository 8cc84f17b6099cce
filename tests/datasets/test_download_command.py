"""download_data against a server of our own: small files of the published formats, interrupted, damaged, hostile."""

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
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.tobytes())


def mnist():
    return {
        "train-images-idx3-ubyte.gz": idx(PICTURES[:4]),
        "train-labels-idx1-ubyte.gz": idx(LABELS[:4]),
        "t10k-images-idx3-ubyte.gz": idx(PICTURES[4:]),
        "t10k-labels-idx1-ubyte.gz": idx(LABELS[4:]),
    }


def tar(**members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"folder/{name.replace('__', '.')}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def record(*labels, colour):
    """Bytes of a CIFAR record: every pixel of one colour."""
    return bytes(labels) + b"".join(bytes([value]) * 1024 for value in colour)


@pytest.fixture
def serve():
    """Serves {name: bytes} until the test ends; answers the base address and the list of (name, Range) asked for."""
    with contextlib.ExitStack() as servers:

        def start(files, cut_after=None, ranges=True):
            asked = []

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self):
                    name, wanted = self.path.rpartition("/")[2], self.headers.get("Range")
                    asked.append((name, wanted))
                    body = files.get(name)
                    if body is None:
                        self.send_error(404)
                        return
                    first = int(wanted[6:-1]) if wanted and ranges else 0
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
            return f"http://127.0.0.1:{server.server_port}/data", asked

        yield start


@pytest.fixture
def offer(serve, monkeypatch):
    """These files as the published ones of a set; the arguments for the command."""

    def offer(name, files, **how):
        base, asked = serve(files, **how)
        digests = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
        monkeypatch.setitem(PUBLISHED, name, Published(base, digests, PUBLISHED[name].read))
        return asked

    return offer


def pixels(path):
    return np.asarray(Image.open(path))


def test_mnist_becomes_folders_of_images(offer, tmp_path, capsys):
    offer("mnist", mnist())
    call_command("download_data", "mnist", tmp_path / "mnist", "--json")
    assert json.loads(capsys.readouterr().out)["images"] == {"train": 4, "test": 2}
    found = sorted(str(path.relative_to(tmp_path / "mnist")) for path in tmp_path.rglob("*.png"))
    assert found == [
        "test/0/00001.png", "test/9/00000.png",
        "train/0/00000.png", "train/1/00001.png", "train/2/00002.png", "train/9/00003.png",
    ]  # fmt: skip
    assert (pixels(tmp_path / "mnist/train/2/00002.png") == PICTURES[2]).all()
    assert not (tmp_path / "mnist/.download").exists()


def test_fashion_has_names(offer, tmp_path):
    offer("fashion-mnist", mnist())
    call_command("download_data", "fashion-mnist", tmp_path)
    assert {path.name for path in (tmp_path / "train").iterdir()} == {CLOTHES[label] for label in LABELS[:4]}


def test_colours_of_cifar_and_the_fine_labels(offer, tmp_path):
    batches = {f"data_batch_{n}__bin": record(n % 2, colour=(10 * n, 20, 30)) for n in range(1, 6)}
    ten = tar(**batches, test_batch__bin=record(0, colour=(1, 2, 3)), batches__meta__txt=b"cat\ndog\n\n")
    offer("cifar10", {"cifar-10-binary.tar.gz": ten})
    call_command("download_data", "cifar10", tmp_path / "ten")
    assert pixels(tmp_path / "ten/train/dog/00002.png").reshape(-1, 3).tolist() == [[30, 20, 30]] * 1024
    hundred = tar(
        train__bin=record(7, 1, colour=(1, 2, 3)), test__bin=record(9, 0, colour=(4, 5, 6)),
        fine_label_names__txt=b"apple\nbear\n",
    )  # fmt: skip
    offer("cifar100", {"cifar-100-binary.tar.gz": hundred})
    call_command("download_data", "cifar100", tmp_path / "hundred")
    assert {path.parent.name for path in (tmp_path / "hundred").rglob("*.png")} == {"bear", "apple"}


def test_an_interrupted_download_goes_on(serve, tmp_path):
    content = bytes(range(256)) * 40
    base, asked = serve({"file": content}, cut_after=3000)
    md5 = hashlib.md5(content).hexdigest()
    download(f"{base}/file", md5, tmp_path / "file", lambda here, total: None)
    assert (tmp_path / "file").read_bytes() == content
    assert asked == [("file", None), *(("file", f"bytes={n}-") for n in (3000, 6000, 9000))]
    download(f"{base}/file", md5, tmp_path / "file", lambda here, total: None)
    assert len(asked) == 4


def test_a_server_without_parts_sends_all_again(serve, tmp_path):
    base, _ = serve({"file": b"0123456789"}, ranges=False)
    (tmp_path / "file.part").write_bytes(b"01234")
    download(f"{base}/file", hashlib.md5(b"0123456789").hexdigest(), tmp_path / "file", lambda here, total: None)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_another_digest_is_refused_and_not_kept(serve, tmp_path):
    base, _ = serve({"file": b"not what was published"})
    with pytest.raises(Failed, match="is not the file that was published"):
        download(f"{base}/file", "0" * 32, tmp_path / "file", lambda here, total: None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_told_at_once(serve, tmp_path):
    base, asked = serve({})
    with pytest.raises(CommandError, match="404") as failed:
        call_command("download_data", "mnist", tmp_path, "--mirror", base)
    assert (failed.value.returncode, len(asked)) == (1, 1)


@pytest.mark.parametrize("mirror", ["file:///etc", "ftp://127.0.0.1"])
def test_only_http_is_fetched(mirror, tmp_path):
    with pytest.raises(CommandError, match="no http or https address") as wrong:
        call_command("download_data", "mnist", tmp_path, "--mirror", mirror)
    assert wrong.value.returncode == 2


@pytest.mark.parametrize("names", [b"../../etc\ncat\n", b"..\ncat\n", b"a/b\ncat\n", b""])
def test_a_category_can_not_lead_out_of_the_folder(names, tmp_path):
    content = tar(train__bin=record(0, 0, colour=(1, 2, 3)), fine_label_names__txt=names)
    (tmp_path / "cifar-100-binary.tar.gz").write_bytes(content)
    with pytest.raises(BadInput, match="names its categories strangely"):
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
def test_a_damaged_archive_is_told(content, tmp_path):
    (tmp_path / "cifar-100-binary.tar.gz").write_bytes(content)
    with pytest.raises(BadInput, match="is damaged"):
        list(published_sets.cifar100(tmp_path, "train"))


@pytest.mark.parametrize("name, content", [("images-idx3", b"no gzip"), ("labels-idx1", idx(LABELS[:3]))])
def test_a_damaged_idx_file_is_told(name, content, tmp_path):
    for file, good in mnist().items():
        (tmp_path / file).write_bytes(content if file == f"train-{name}-ubyte.gz" else good)
    with pytest.raises(BadInput, match=r"damaged|do not belong"):
        list(PUBLISHED["mnist"].read(tmp_path, "train"))


def test_a_finished_set_is_left_alone(offer, tmp_path, capsys):
    asked = offer("mnist", mnist())
    call_command("download_data", "mnist", tmp_path)
    first = len(asked)
    call_command("download_data", "mnist", tmp_path)
    assert len(asked) == first == 4
    assert f"{tmp_path}/train: 4 images" in capsys.readouterr().out


def test_no_digest_is_made_up():
    named = [md5 for offered in PUBLISHED.values() for md5 in offered.files.values()]
    assert len(set(named)) == 10
    assert all(offered.digests and offered.base.startswith("https://") for offered in PUBLISHED.values())
