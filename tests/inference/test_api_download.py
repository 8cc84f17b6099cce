"""Downloads: an archive with everything, and a classify.py in it that answers as the server does."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from models_app.networks import Layer, Network, prototxt, standard
from tests.support.samples.heic_samples import heic_file
from tests.support.samples.picture_samples import (
    GRAY,
    GRAY_ALPHA,
    RGB,
    add_alpha,
    png,
    random_samples,
    transparency_chunk,
)
from tests.support.samples.row_samples import DIGITS, add_snapshot, image_list, with_categories

pytestmark = pytest.mark.django_db
BESIDE_CLASSIFY = "digits_classify/"  # the modules that classify.py imports
FILES = {"classify.py", "info.json", "labels.txt", "mean.npy", "model.onnx", "network.prototxt", "weights.npz"}


@pytest.fixture(autouse=True)
def _open_server(settings, tmp_path, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [tmp_path, digits_folder]


@pytest.fixture
def model(make_dataset, make_model):
    """A model with snapshots at the epochs 0.5 and 1, and a mean image."""
    model = make_model(with_categories(make_dataset()))
    model.dataset.directory.mkdir(parents=True, exist_ok=True)
    np.save(model.dataset.directory / "mean.npy", np.zeros((1, 28, 28), np.float32))
    for epoch in (0.5, 1):
        add_snapshot(model, epoch, seed=int(2 * epoch), network=standard("lenet", (1, 16, 16), 10))  # a small file
    return model


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with one picture of each kind that is easily read wrongly."""
    folder = tmp_path_factory.mktemp("pictures")
    colours = np.random.default_rng(1).integers(0, 256, (9, 15, 4), np.uint8)
    photo = Image.fromarray(colours[:, :, :3]).resize((90, 54), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.save(folder / "turned.jpg", exif=turned, quality=90)
    Image.fromarray(colours).resize((31, 70), Image.Resampling.NEAREST).save(folder / "transparent.png")
    deep = (colours[:, :, 0].astype(np.uint16) << 8) + 200
    Image.fromarray(deep).save(folder / "sixteen bits.png")
    (folder / "twelve bits.png").write_bytes(png(random_samples(3, 4096), colour=RGB))
    (folder / "transparent colour.png").write_bytes(
        png(random_samples(1, 4), transparency_chunk(2), colour=GRAY, bits=2)
    )
    (folder / "sixteen bits and alpha.png").write_bytes(
        png(add_alpha(random_samples(1, 4096), 65536), colour=GRAY_ALPHA)
    )
    photo.convert("L").save(folder / "gray.bmp")
    photo.convert("P").save(folder / "palette.png", transparency=bytes(range(256)))
    photo.save(folder / "two pages.tif", save_all=True, append_images=[photo.convert("L")])
    photo.save(folder / "turned.avif", exif=turned)
    (folder / "turned.heic").write_bytes(heic_file("turned"))
    return folder


def body(answer):
    return b"".join(answer.streaming_content)


def unpacked(form, content):
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive.getmembers()}


def besides_modules(names):
    """The files of an archive besides the modules of classify.py."""
    return {name for name in names if not name.startswith(BESIDE_CLASSIFY)}


def classify(folder, *arguments):
    """classify.py in a Python that knows nothing of the project."""
    command = [sys.executable, "-I", "-W", "error", folder / "classify.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)


@pytest.fixture
def taken_away(client, tmp_path):
    """Downloads and unpacks a model; returns the folder."""

    def take(model):
        folder = tmp_path / "elsewhere"
        with zipfile.ZipFile(io.BytesIO(body(client.get(f"/models/{model.pk}/download.zip")))) as archive:
            archive.extractall(folder)
        return folder

    return take


@pytest.mark.parametrize("form", ["tar", "tar.gz", "tgz", "tar.bz2", "zip"])
def test_every_form_holds_everything_under_plain_names(client, model, form):
    answer = client.get(f"/models/{model.pk}/download.{form}")
    found = unpacked(form, body(answer))
    assert besides_modules(found) == FILES
    assert found["model.onnx"] == model.newest_snapshot.onnx_file.read_bytes()
    assert found["weights.npz"] == (model.newest_snapshot.directory / "weights.npz").read_bytes()
    assert found["labels.txt"].decode().splitlines() == DIGITS
    assert answer["Content-Disposition"] == f'attachment; filename="{model.pk}_epoch_1.{form}"'


def test_without_a_suffix_it_is_a_tar_gz(client, model):
    answer = client.get(f"/models/{model.pk}/download", headers={"Accept": "text/html"})
    assert answer["Content-Type"] == "application/gzip"
    assert besides_modules(unpacked("tar.gz", body(answer))) == FILES


@pytest.mark.parametrize("asked, epoch", [("0.5", 0.5), ("1", 1), ("-1", 1), ("", 1)])
def test_the_snapshot_is_the_one_of_the_epoch(client, model, asked, epoch):
    found = unpacked("tar", body(client.get(f"/models/{model.pk}/download.tar?epoch={asked}")))
    assert found["model.onnx"] == model.snapshots.get(epoch=epoch).onnx_file.read_bytes()
    assert json.loads(found["info.json"])["epoch"] == epoch


def test_the_network_is_there_as_a_prototxt_to_train_again(client, model):
    found = unpacked("tar", body(client.get(f"/models/{model.pk}/download.tar")))
    network = prototxt.read(found["network.prototxt"].decode(), (1, 16, 16), categories=10)
    assert network == standard("lenet", (1, 16, 16), 10)


def test_info_tells_where_the_model_comes_from_and_what_it_takes(client, model):
    found = unpacked("tar", body(client.get(f"/models/{model.pk}/download.tar")))
    info = json.loads(found["info.json"])
    assert (info["job_id"], info["dataset_id"], info["categories"]) == (model.pk, model.dataset_id, 10)
    size = {"width": 28, "height": 28, "channels": 1, "resize_mode": "squash"}
    assert info["image"] == size | {"alpha_background": "white", "white_level": 65535}


def test_without_a_mean_there_is_none_in_it(client, model, make_model):
    plain = make_model(model.dataset, use_mean="none")
    add_snapshot(plain, 1, seed=1)
    found = unpacked("tar", body(client.get(f"/models/{plain.pk}/download.tar")))
    assert besides_modules(found) == FILES - {"mean.npy"}


@pytest.mark.parametrize(
    "path, status",
    [("download?epoch=7", 400), ("download?epoch=last", 400), ("download.rar", 400), ("download.json", 400)],
)
def test_what_there_is_not_is_refused(client, model, path, status):
    assert client.get(f"/models/{model.pk}/{path}", headers={"Accept": "application/json"}).status_code == status


@pytest.mark.parametrize("job_id", ["20200101-000000-abcd", "%00", "."])
def test_an_unknown_model(client, db, job_id):
    assert client.get(f"/models/{job_id}/download.zip").status_code == 404


def test_a_dataset_and_a_model_without_a_snapshot_have_nothing_to_download(client, model, make_model):
    fresh = make_model(model.dataset)
    assert client.get(f"/models/{fresh.pk}/download").status_code == 409
    assert client.get(f"/models/{model.dataset_id}/download").status_code == 404


def test_a_download_goes_on_when_the_snapshot_is_deleted(client, model):
    weights = model.newest_snapshot.onnx_file.read_bytes()
    answer = client.get(f"/models/{model.pk}/download.tar")
    model.newest_snapshot.onnx_file.unlink()
    assert unpacked("tar", body(answer))["model.onnx"] == weights


@pytest.mark.parametrize(
    "mode, channels, cut, look",
    [
        ("squash", 1, 7, {"alpha_background": "ignore"}),
        ("crop", 3, 0, {"white_level": 4095}),
        ("fill", 3, 7, {"alpha_background": "#3080c0", "white_level": 4095}),
        ("half_crop", 1, 0, {"alpha_background": "black"}),
    ],
)
def test_classify_answers_as_the_server(
    client, make_dataset, make_model, taken_away, pictures, digits_folder, settings, mode, channels, cut, look
):
    """Percentages and the numbers themselves, of images of every kind, with a crop and without."""
    settings.DIGITS_DATA_ROOTS = [pictures, digits_folder]
    model = make_model(with_categories(make_dataset(resize_mode=mode, resize_channels=channels, **look)))
    network = standard("lenet", (channels, 28 - cut, 28 - cut), 10)
    mean = np.random.default_rng(1).uniform(0, 255, network.input_shape)
    add_snapshot(model, 1, 1, network, mean)
    names = sorted(map(str, pictures.iterdir()))
    sent = {"job_id": model.pk, "image_list": io.BytesIO(image_list(*names))}
    server = client.post("/models/images/classification/classify_many.json", sent).json()["classifications"]
    sent["image_list"].seek(0)
    scores = client.post("/models/images/generic/infer_many.json", sent).json()["outputs"]
    folder = taken_away(model)
    run = classify(folder, "--json", *names)
    assert (run.stderr, run.returncode) == ("", 0)
    found = json.loads(run.stdout)["classifications"]
    assert list(found) == list(server) == names
    for name in names:
        assert [category for category, _ in found[name]] == [category for category, _ in server[name]]
        np.testing.assert_allclose([p for _, p in found[name]], [p for _, p in server[name]], atol=0.011)
    (folder / "labels.txt").unlink()  # without categories it answers with the numbers
    outputs = json.loads(classify(folder, *names).stdout)["outputs"]
    for name in names:
        np.testing.assert_allclose(outputs[name]["softmax"], scores[name]["softmax"], atol=1e-4)


def test_classify_tells_people_too_and_goes_on_after_a_broken_image(model, taken_away, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    run = classify(
        taken_away(model), "--top", "2", tmp_path / "broken.png", tmp_path / "none.png", pictures / "gray.bmp"
    )
    assert run.returncode == 1
    assert [line.split(": ")[0] for line in run.stderr.splitlines()] == [
        f"{tmp_path}/{n}.png" for n in ("broken", "none")
    ]
    heading, *ranking = run.stdout.splitlines()
    assert heading == str(pictures / "gray.bmp")
    assert [line.split()[1] in DIGITS and line.split()[0][-1] for line in ranking] == ["%", "%"]


@pytest.mark.parametrize("most", ["0", "-1", "many"])
def test_classify_takes_no_number_of_categories_below_one(model, taken_away, pictures, most):
    run = classify(taken_away(model), "--top", most, pictures / "gray.bmp")
    assert run.returncode == 2
    assert "is no whole number from 1" in run.stderr


def test_classify_whose_reader_leaves_shows_no_traceback(model, taken_away, pictures):
    script = taken_away(model) / "classify.py"
    command = [sys.executable, script, pictures / "gray.bmp", pictures / "none.png"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert said.splitlines() == [f"{pictures / 'none.png'}: No such file or directory"]
    assert process.wait(30) == 1


def test_classify_says_what_heic_needs_where_it_is_not_installed(model, taken_away, pictures):
    script = taken_away(model) / "classify.py"
    program = "import runpy, sys; sys.modules['pi_heif'] = None; runpy.run_path(sys.argv[0], run_name='__main__')"
    program = program.replace("sys.argv[0]", repr(str(script)))
    run = subprocess.run(
        [sys.executable, "-c", program, pictures / "turned.heic", pictures / "turned.avif"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    turned = pictures / "turned.heic"
    assert run.stderr == f"{turned}: HEIC is read with the package pi-heif: pip install pi-heif\n"
    assert run.stdout.startswith(str(pictures / "turned.avif"))


LOADED = """
import runpy, sys
sys.argv = ["classify.py", "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    folder = sys.path[0]
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(*sorted(file for file in files if file.startswith(folder)))
"""


def test_the_archive_holds_the_modules_that_classify_imports_and_no_others(model, taken_away):
    folder = taken_away(model)
    command = [sys.executable, "-I", "-c", LOADED]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    held = sorted(str(file) for file in (folder / BESIDE_CLASSIFY).rglob("*.py"))
    assert run.stdout.splitlines()[-1].split() == held


def test_classify_takes_its_own_modules_where_others_have_their_names(model, taken_away, pictures, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("raise ImportError('the wrong one')")
    script = taken_away(model) / "classify.py"
    env = {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, script, pictures / "gray.bmp"], env=env, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_classify_explains_itself(model, taken_away):
    run = classify(taken_away(model), "--help")
    assert run.returncode == 0
    assert all(word in run.stdout for word in ("--json", "--top", "pip install numpy pillow onnxruntime"))


def test_several_outputs_are_each_answered(client, make_dataset, make_model, taken_away, pictures):
    model = make_model(make_dataset())
    layers = (
        Layer("data", "Data", (), ("data",)),
        Layer("small", "Pooling", ("data",), ("small",), {"pool": "AVE", "kernel_size": 7, "stride": 7}),
        Layer("three", "InnerProduct", ("data",), ("three",), {"num_output": 3, "weight_filler": {"type": "xavier"}}),
    )
    add_snapshot(model, 1, 1, Network("branched", (1, 28, 28), layers))
    name = str(pictures / "gray.bmp")
    found = json.loads(classify(taken_away(model), name).stdout)["outputs"][name]
    upload = io.BytesIO((pictures / "gray.bmp").read_bytes())
    server = client.post("/models/images/generic/infer_one.json", {"job_id": model.pk, "image_file": upload})
    assert list(found) == ["small", "three"]
    for layer, values in server.json()["outputs"].items():
        np.testing.assert_allclose(found[layer], values[0], atol=1e-4)


def test_a_network_without_categories_answers_with_its_outputs(client, make_dataset, make_model, taken_away, pictures):
    model = make_model(make_dataset())
    add_snapshot(model, 1, seed=1, network=standard("lenet", (1, 24, 20), 3))
    folder = taken_away(model)
    assert not (folder / "labels.txt").exists()
    name = str(pictures / "gray.bmp")
    found = json.loads(classify(folder, name).stdout)["outputs"][name]["softmax"]
    upload = io.BytesIO((pictures / "gray.bmp").read_bytes())
    sent = {"job_id": model.pk, "image_file": upload}
    server = client.post("/models/images/generic/infer_one.json", sent).json()["outputs"]["softmax"]
    np.testing.assert_allclose(found, server[0], atol=1e-4)
