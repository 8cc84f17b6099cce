"""classify.py of a downloaded archive gives the predictions of the server, without the project."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from models_app.networks import Layer, Network, standard
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

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots"), pytest.mark.slow]
MODULES = "digits_classify"  # the folder of the modules that classify.py imports


@pytest.fixture
def unpack_download(client, tmp_path):
    """A function that downloads a model, unpacks the archive, and returns the folder."""

    def unpack_download(model):
        folder = tmp_path / "elsewhere"
        content = b"".join(client.get(f"/models/{model.pk}/download.zip").streaming_content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
        return folder

    return unpack_download


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


def run_script(folder, *arguments):
    """Run classify.py in a Python that cannot import the project."""
    command = [sys.executable, "-I", "-W", "error", folder / "classify.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)


@pytest.mark.parametrize(
    "mode, channels, margin, appearance",
    [
        ("squash", 1, 7, {"alpha_background": "ignore"}),
        ("crop", 3, 0, {"white_level": 4095}),
        ("fill", 3, 7, {"alpha_background": "#3080c0", "white_level": 4095}),
        ("half_crop", 1, 0, {"alpha_background": "black"}),
    ],
)
def test_classify_py_gives_the_predictions_of_the_server(
    client,
    make_dataset,
    make_model,
    unpack_download,
    pictures,
    digits_folder,
    settings,
    mode,
    channels,
    margin,
    appearance,
):
    """Compares percentages and outputs, for images of every kind, with a crop and without."""
    settings.DIGITS_DATA_ROOTS = [pictures, digits_folder]
    model = make_model(with_categories(make_dataset(resize_mode=mode, resize_channels=channels, **appearance)))
    network = standard("lenet", (channels, 28 - margin, 28 - margin), 10)
    mean = np.random.default_rng(1).uniform(0, 255, network.input_shape)
    add_snapshot(model, 1, 1, network, mean)
    names = sorted(map(str, pictures.iterdir()))
    sent = {"job_id": model.pk, "image_list": io.BytesIO(image_list(*names))}
    server = client.post("/models/images/classification/classify_many.json", sent).json()["classifications"]
    sent["image_list"].seek(0)
    scores = client.post("/models/images/generic/infer_many.json", sent).json()["outputs"]
    folder = unpack_download(model)
    run = run_script(folder, "--json", *names)
    assert (run.stderr, run.returncode) == ("", 0)
    found = json.loads(run.stdout)["classifications"]
    assert list(found) == list(server) == names
    for name in names:
        assert [category for category, _ in found[name]] == [category for category, _ in server[name]]
        np.testing.assert_allclose([p for _, p in found[name]], [p for _, p in server[name]], atol=0.011)
    (folder / "labels.txt").unlink()  # without categories it returns the outputs
    outputs = json.loads(run_script(folder, *names).stdout)["outputs"]
    for name in names:
        np.testing.assert_allclose(outputs[name]["softmax"], scores[name]["softmax"], atol=1e-4)


def test_classify_py_prints_a_ranking_and_continues_after_a_damaged_image(model, unpack_download, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    run = run_script(
        unpack_download(model), "--top", "2", tmp_path / "broken.png", tmp_path / "none.png", pictures / "gray.bmp"
    )
    assert run.returncode == 1
    assert [line.split(": ")[0] for line in run.stderr.splitlines()] == [
        f"{tmp_path}/{n}.png" for n in ("broken", "none")
    ]
    heading, *ranking = run.stdout.splitlines()
    assert heading == str(pictures / "gray.bmp")
    assert [line.split()[1] in DIGITS and line.split()[0][-1] for line in ranking] == ["%", "%"]


def test_classify_py_draws_what_speaks_for_the_best_category(model, unpack_download, pictures, tmp_path):
    folder = unpack_download(model)
    run = run_script(folder, "--explain", tmp_path, pictures / "gray.bmp")
    assert (run.stderr, run.returncode) == ("", 0)
    picture = np.asarray(Image.open(tmp_path / "gray-explained.png"))
    assert picture.shape == (28, 28, 3)
    assert (picture[:, :, 0] != picture[:, :, 2]).any()  # it has colours, which the gray image has not
    assert "nowhere is not a folder" in run_script(folder, "--explain", "nowhere", pictures / "gray.bmp").stderr


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_classify_py_refuses_a_number_of_categories_below_one(model, unpack_download, pictures, count):
    run = run_script(unpack_download(model), "--top", count, pictures / "gray.bmp")
    assert run.returncode == 2
    assert "is not a whole number from 1" in run.stderr


def test_classify_py_shows_no_traceback_if_its_output_is_closed(model, unpack_download, pictures):
    script = unpack_download(model) / "classify.py"
    command = [sys.executable, script, pictures / "gray.bmp", pictures / "none.png"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert errors.splitlines() == [f"{pictures / 'none.png'}: No such file or directory"]
    assert process.wait(30) == 1


def test_classify_py_names_the_package_that_heic_needs(model, unpack_download, pictures):
    script = unpack_download(model) / "classify.py"
    program = "import runpy, sys; sys.modules['pi_heif'] = None; runpy.run_path(sys.argv[0], run_name='__main__')"
    program = program.replace("sys.argv[0]", repr(str(script)))
    run = subprocess.run(
        [sys.executable, "-c", program, pictures / "turned.heic", pictures / "turned.avif"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    turned = pictures / "turned.heic"
    assert run.stderr == f"{turned}: HEIC needs the package pi-heif: pip install pi-heif\n"
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


def test_an_archive_holds_exactly_the_modules_that_classify_py_imports(model, unpack_download):
    folder = unpack_download(model)
    command = [sys.executable, "-I", "-c", LOADED]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    held = sorted(str(file) for file in (folder / MODULES).rglob("*.py"))
    assert run.stdout.splitlines()[-1].split() == held


def test_classify_py_imports_its_own_modules_before_others_of_their_names(model, unpack_download, pictures, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("raise ImportError('the wrong one')")
    script = unpack_download(model) / "classify.py"
    env = {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, script, pictures / "gray.bmp"], env=env, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_classify_py_has_a_help_text(model, unpack_download):
    run = run_script(unpack_download(model), "--help")
    assert run.returncode == 0
    assert all(word in run.stdout for word in ("--json", "--top", "pip install numpy pillow onnxruntime"))


def test_classify_py_returns_every_output_of_a_network(client, make_dataset, make_model, unpack_download, pictures):
    model = make_model(make_dataset())
    layers = (
        Layer("data", "Data", (), ("data",)),
        Layer("small", "Pooling", ("data",), ("small",), {"pool": "AVE", "kernel_size": 7, "stride": 7}),
        Layer("three", "InnerProduct", ("data",), ("three",), {"num_output": 3, "weight_filler": {"type": "xavier"}}),
    )
    add_snapshot(model, 1, 1, Network("branched", (1, 28, 28), layers))
    name = str(pictures / "gray.bmp")
    found = json.loads(run_script(unpack_download(model), name).stdout)["outputs"][name]
    upload = io.BytesIO((pictures / "gray.bmp").read_bytes())
    server = client.post("/models/images/generic/infer_one.json", {"job_id": model.pk, "image_file": upload})
    assert list(found) == ["small", "three"]
    for layer, values in server.json()["outputs"].items():
        np.testing.assert_allclose(found[layer], values[0], rtol=1e-6, atol=1e-4)


def test_classify_py_returns_the_output_of_a_network_without_categories(
    client, make_dataset, make_model, unpack_download, pictures
):
    model = make_model(make_dataset())
    add_snapshot(model, 1, seed=1, network=standard("lenet", (1, 24, 20), 3))
    folder = unpack_download(model)
    assert not (folder / "labels.txt").exists()
    name = str(pictures / "gray.bmp")
    found = json.loads(run_script(folder, name).stdout)["outputs"][name]["softmax"]
    upload = io.BytesIO((pictures / "gray.bmp").read_bytes())
    sent = {"job_id": model.pk, "image_file": upload}
    server = client.post("/models/images/generic/infer_one.json", sent).json()["outputs"]["softmax"]
    np.testing.assert_allclose(found, server[0], atol=1e-4)
    for option in (["--unsure-below", "0"], ["--explain", str(folder)]):
        refused = run_script(folder, name, *option)
        assert (refused.returncode, "for models with categories" in refused.stderr) == (2, True)
