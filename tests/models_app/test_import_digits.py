"""import_digits: a job folder as DIGITS leaves it becomes a dataset and a model that answers as Caffe would."""

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
SIDE = 28  # as small as LeNet takes
NETWORK = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mean_file: "/jobs/20170301-120000-0c1a/mean.binaryproto" }
  data_param { source: "/jobs/20170301-120000-0c1a/train_db" batch_size: 5 backend: LMDB } }
layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""
# What Python 2 wrote, protocol 0, with an object in it that would run a command if anybody unpickled it.
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
    """C×H×W, in Caffe's order."""
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


def imported(jobs, *options):
    """What the command says of each job, in JSON."""
    call_command("import_digits", jobs, "--json", *options)


def test_the_answers_are_caffe_s(jobs, weights, images, mean, tmp_path):
    imported(jobs)
    model = TrainedModel.objects.get(pk=MODEL)
    assert (model.name, model.status, model.epochs) == ("Old network", Status.DONE, "2, 4")
    assert model.engine_used == "caffe"
    Image.fromarray(images[3]).save(tmp_path / "image.png")
    snapshot = services.find_snapshot(MODEL)
    answer = dict(services.classify(snapshot, services.reader(snapshot)(tmp_path / "image.png")))
    scores = weights[0] @ (caffe_order(images[3]) - mean).ravel() + weights[1]
    shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    assert answer == pytest.approx(dict(zip(("cat", "dog", "bird"), 100 * shares, strict=True)), abs=0.02)


def test_the_dataset_can_be_trained_on(jobs, images):
    imported(jobs, "--owner", "ada")
    dataset = Dataset.objects.get(pk=DATASET)
    assert (dataset.name, dataset.owner, dataset.status) == ("Old pets", "ada", Status.DONE)
    assert (dataset.categories, dataset.resize_mode) == (["cat", "dog", "bird"], "crop")
    assert dataset.splits == [{"name": "train", "entries": 7, "per_category": [3, 2, 2]}]
    assert (dataset.directory / "labels.txt").read_text() == "cat\ndog\nbird\n"
    with RecordReader(dataset.directory / "train.rec") as reader:
        assert [reader[number][0] for number in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    size = ("--standard-networks", "lenet", "--no-wait")
    call_command("train_model", "next", "--dataset", DATASET, *size)


def test_nothing_that_stands_in_a_pickle_is_run(jobs, tmp_path):
    imported(jobs)
    assert not (tmp_path / "ran").exists()
    pickle.loads((jobs / MODEL / "status.pickle").read_bytes())
    assert (tmp_path / "ran").exists()


def test_what_is_there_is_left_alone(jobs, capsys):
    imported(jobs)
    capsys.readouterr()
    imported(jobs)
    assert {job["left_out"] for job in json.loads(capsys.readouterr().out)} == {"is there already"}


def test_two_categories_of_one_name_get_names_of_their_own_and_that_is_said(jobs):
    (jobs / DATASET / "labels.txt").write_text("crane\nte\x1ba\ncrane\n")
    imported(jobs)
    dataset = Dataset.objects.get(pk=DATASET)
    assert dataset.categories == ["crane", r"te\x1ba", "crane (2)"]
    assert (dataset.directory / "labels.txt").read_text() == "crane\nte\\x1ba\ncrane (2)\n"
    assert [warning.split(",")[0] for warning in dataset.warnings] == ["Category 1", "Category 2"]
    assert "is called crane (2) here" in dataset.warnings[1]


def test_without_its_databases_a_dataset_only_serves_models(jobs, capsys):
    imported(jobs, "--no-records")
    dataset = Dataset.objects.get(pk=DATASET)
    assert (dataset.image_shape, dataset.splits) == ((3, SIDE, SIDE), [])
    assert "nothing can be trained" in dataset.warnings[0]
    assert TrainedModel.objects.get(pk=MODEL).snapshots.count() == 2


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda jobs: (jobs / MODEL / "snapshot_iter_40.caffemodel").write_bytes(b"no weights"), "caffemodel"),
        (lambda jobs: (jobs / MODEL / "train_val.prototxt").write_text("layer {"), "prototxt|line 1"),
        (lambda jobs: (jobs / DATASET / "labels.txt").write_text("cat\n"), "labels.txt 1 lines"),
        (lambda jobs: (jobs / DATASET / "mean.binaryproto").write_bytes(b"\xff"), "mean.binaryproto can't be read"),
    ],
)
def test_what_is_damaged_is_left_out_whole(jobs, spoil, said, capsys, settings):
    settings.DIGITS_JOBS_DIR.mkdir(exist_ok=True)
    spoil(jobs)
    with pytest.raises(SystemExit) as end:
        imported(jobs)
    told = [job for job in json.loads(capsys.readouterr().out) if job["left_out"]]
    assert end.value.code == 1
    assert any(word in told[0]["left_out"] for word in said.split("|")), told[0]["left_out"]
    there = {path.name for path in settings.DIGITS_JOBS_DIR.glob("[!.]*")}
    assert there == {job.pk for kind in (Dataset, TrainedModel) for job in kind.objects.all()}


def test_a_host_without_onnx_says_what_to_install(jobs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "models_app.networks.export.network_onnx", None)  # as if it could not be imported
    with pytest.raises(SystemExit):
        imported(jobs)
    left_out = [job["left_out"] for job in json.loads(capsys.readouterr().out)]
    assert left_out == ["", "Models take a worker's packages: pip install --no-deps -r requirements/worker.txt"]


def test_a_folder_without_jobs_is_bad_input(tmp_path):
    with pytest.raises(CommandError, match="holds no job folders of DIGITS") as wrong:
        call_command("import_digits", tmp_path)
    assert wrong.value.returncode == 2


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_facts_are_read_of_every_protocol(protocol, tmp_path):
    stated = {"_name": "ä network", "unknown": ["_name"], "train_epochs": 7, "learning_rate": 0.5, "username": None}
    (tmp_path / "status.pickle").write_bytes(pickle.dumps(stated, protocol))
    facts = digits_jobs.read_facts(tmp_path / "status.pickle")
    assert facts == {"_name": "ä network", "train_epochs": 7, "learning_rate": 0.5}


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04\x95", b"X\xff\xff\xff\xff", b"(dp0\nS'_name'\n"])
def test_a_damaged_pickle_says_nothing(content, tmp_path):
    (tmp_path / "status.pickle").write_bytes(content)
    assert digits_jobs.read_facts(tmp_path / "status.pickle") == {}
