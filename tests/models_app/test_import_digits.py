"""import_digits: job folders of DIGITS become a dataset and a model that gives the scores of Caffe."""

import json
import pickle
import sys

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset
from digits_project.jobs.models import Status
from inference import services
from models_app.digits_import import digits_jobs
from models_app.models import TrainedModel
from tests.support.samples.digits_job_samples import layer_message, weights_blob
from tests.support.samples.prebuilt_samples import blob_proto, caffe_order, encoded_datum, photo_crops, write_lmdb

pytestmark = pytest.mark.django_db

DATASET, MODEL = "20170301-120000-0c1a", "20170301-130000-4907"
SIDE = 28  # the smallest size that LeNet takes
NETWORK = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mean_file: "/jobs/20170301-120000-0c1a/mean.binaryproto" }
  data_param { source: "/jobs/20170301-120000-0c1a/train_db" batch_size: 5 backend: LMDB } }
layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""
# A pickle of Python 2, protocol 0, with an object that runs a command when it is unpickled.
STATUS = b"""(dp0
S'tasks'
p1
cos
system
p2
(S'touch %s'
p3
tp4
Rp5
sS'_name'
p6
S'%s'
p7
sS'group'
p13
S'spring'
p14
sS'train_epochs'
p8
I4
sS'dataset_id'
p9
S'20170301-120000-0c1a'
p10
sS'resize_mode'
p11
S'crop'
p12
s."""


@pytest.fixture
def weights():
    """Weights and biases of the network, in Caffe's order of colours: blue, green, red."""
    numbers = np.random.default_rng(1)
    return numbers.normal(0, 0.01, (3, 3 * SIDE * SIDE)).astype(np.float32), np.float32([0.1, -0.2, 0.3])


@pytest.fixture
def images():
    return photo_crops(7, SIDE)


@pytest.fixture
def mean(images):
    """The mean image, C×H×W, in Caffe's order of colours."""
    return np.mean([caffe_order(image) for image in images], axis=0).astype(np.float32)


@pytest.fixture
def jobs(tmp_path, weights, images, mean):
    """A folder of jobs of DIGITS: a dataset with three categories and a model with two snapshots."""
    folder = tmp_path / "jobs"
    dataset, model = folder / DATASET, folder / MODEL
    dataset.mkdir(parents=True)
    (dataset / "labels.txt").write_text("cat\ndog\nbird\n")
    (dataset / "mean.binaryproto").write_bytes(blob_proto(mean, num=1, channels=3, height=SIDE, width=SIDE))
    write_lmdb(dataset / "train_db", [encoded_datum(image, label=i % 3) for i, image in enumerate(images)])
    (dataset / "status.pickle").write_bytes(STATUS % (str(tmp_path / "ran").encode(), b"Old pets"))
    model.mkdir()
    (model / "train_val.prototxt").write_text(NETWORK)
    (model / "solver.prototxt").write_text('net: "train_val.prototxt"\nmax_iter: 40\n')
    (model / "deploy.prototxt").write_text("")
    (model / "status.pickle").write_bytes(STATUS % (str(tmp_path / "ran").encode(), b"Old network"))
    for iteration, factor in ((20, 0.5), (40, 1)):
        content = layer_message("scores", *(weights_blob(np.float32(factor) * array) for array in weights))
        (model / f"snapshot_iter_{iteration}.caffemodel").write_bytes(content)
    return folder


def run_import(jobs, *options):
    """Run the command, which prints a JSON list of the jobs."""
    call_command("import_digits", jobs, "--json", *options)


def test_an_imported_model_gives_the_scores_of_caffe(jobs, weights, images, mean, tmp_path):
    run_import(jobs)
    model = TrainedModel.objects.get(pk=MODEL)
    assert (model.name, model.status, model.epochs) == ("Old network", Status.DONE, "2, 4")
    assert model.engine_used == "caffe"
    Image.fromarray(images[3]).save(tmp_path / "image.png")
    snapshot = services.find_snapshot(MODEL)
    pixels = services.reader(snapshot)(tmp_path / "image.png")
    prediction = dict(services.ranking(snapshot, services.scores_of_one(snapshot, pixels)))
    scores = weights[0] @ (caffe_order(images[3]) - mean).ravel() + weights[1]
    shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    assert prediction == pytest.approx(dict(zip(("cat", "dog", "bird"), 100 * shares, strict=True)), abs=0.02)


def test_an_imported_dataset_can_train_a_new_model(jobs, images):
    run_import(jobs, "--owner", "ada")
    dataset = Dataset.objects.get(pk=DATASET)
    assert (dataset.name, dataset.owner, dataset.status) == ("Old pets", "ada", Status.DONE)
    assert (dataset.categories, dataset.resize_mode) == (["cat", "dog", "bird"], "crop")
    assert dataset.splits == [{"name": "train", "entries": 7, "per_category": [3, 2, 2]}]
    assert (dataset.directory / "labels.txt").read_text() == "cat\ndog\nbird\n"
    with RecordReader(dataset.directory / "train.rec") as reader:
        assert [reader[number][0] for number in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    size = ("--standard-networks", "lenet", "--no-wait")
    call_command("train_model", "next", "--dataset", DATASET, *size)


def test_a_pickle_is_read_without_running_its_code(jobs, tmp_path):
    run_import(jobs)
    assert not (tmp_path / "ran").exists()
    pickle.loads((jobs / MODEL / "status.pickle").read_bytes())
    assert (tmp_path / "ran").exists()


def test_imported_jobs_stay_in_their_groups(jobs):
    run_import(jobs)
    assert {Dataset.objects.get(pk=DATASET).group_name, TrainedModel.objects.get(pk=MODEL).group_name} == {"spring"}


def test_a_second_import_leaves_out_the_jobs_of_the_first(jobs, capsys):
    run_import(jobs)
    capsys.readouterr()
    run_import(jobs)
    assert {job["left_out"] for job in json.loads(capsys.readouterr().out)} == {"is there already"}


def test_categories_of_one_name_are_renamed_with_a_warning(jobs):
    (jobs / DATASET / "labels.txt").write_text("crane\nte\x1ba\ncrane\n")
    run_import(jobs)
    dataset = Dataset.objects.get(pk=DATASET)
    assert dataset.categories == ["crane", r"te\x1ba", "crane (2)"]
    assert (dataset.directory / "labels.txt").read_text() == "crane\nte\\x1ba\ncrane (2)\n"
    assert [warning.split(",")[0] for warning in dataset.warnings] == ["Category 1", "Category 2"]
    assert "is called crane (2) here" in dataset.warnings[1]


def test_a_dataset_imported_without_records_only_serves_its_models(jobs, capsys):
    run_import(jobs, "--no-records")
    dataset = Dataset.objects.get(pk=DATASET)
    assert (dataset.image_shape, dataset.splits) == ((3, SIDE, SIDE), [])
    assert "nothing can be trained" in dataset.warnings[0]
    assert TrainedModel.objects.get(pk=MODEL).snapshots.count() == 2


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda jobs: (jobs / MODEL / "snapshot_iter_40.caffemodel").write_bytes(b"no weights"), "caffemodel"),
        (lambda jobs: (jobs / MODEL / "train_val.prototxt").write_text("layer {"), "prototxt|line 1"),
        (lambda jobs: (jobs / DATASET / "labels.txt").write_text("cat\n"), "labels.txt has only 1 lines"),
        (lambda jobs: (jobs / DATASET / "mean.binaryproto").write_bytes(b"\xff"), "mean.binaryproto can't be read"),
    ],
)
def test_a_damaged_job_is_left_out_completely(jobs, damage, words, capsys, settings):
    settings.DIGITS_JOBS_DIR.mkdir(exist_ok=True)
    damage(jobs)
    with pytest.raises(SystemExit) as end:
        run_import(jobs)
    left_out = [job["left_out"] for job in json.loads(capsys.readouterr().out) if job["left_out"]]
    assert end.value.code == 1
    assert any(word in left_out[0] for word in words.split("|")), left_out[0]
    folders = {path.name for path in settings.DIGITS_JOBS_DIR.glob("[!.]*")}
    assert folders == {job.pk for kind in (Dataset, TrainedModel) for job in kind.objects.all()}


def test_an_import_without_onnx_names_the_packages_to_install(jobs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "models_app.networks.export.network_onnx", None)  # makes its import fail
    with pytest.raises(SystemExit):
        run_import(jobs)
    left_out = [job["left_out"] for job in json.loads(capsys.readouterr().out)]
    assert left_out == [
        "",
        "Importing models needs a worker's packages: pip install --no-deps -r requirements/worker.txt",
    ]


def test_a_folder_without_jobs_of_digits_is_refused(tmp_path):
    with pytest.raises(CommandError, match="holds no job folders of DIGITS") as raised:
        call_command("import_digits", tmp_path)
    assert raised.value.returncode == 2


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_facts_are_read_from_pickles_of_every_protocol(protocol, tmp_path):
    stated = {"_name": "ä network", "unknown": ["_name"], "train_epochs": 7, "learning_rate": 0.5, "username": None}
    (tmp_path / "status.pickle").write_bytes(pickle.dumps(stated, protocol))
    facts = digits_jobs.read_facts(tmp_path / "status.pickle")
    assert facts == {"_name": "ä network", "train_epochs": 7, "learning_rate": 0.5}


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04\x95", b"X\xff\xff\xff\xff", b"(dp0\nS'_name'\n"])
def test_a_damaged_pickle_gives_no_facts(content, tmp_path):
    (tmp_path / "status.pickle").write_bytes(content)
    assert digits_jobs.read_facts(tmp_path / "status.pickle") == {}
