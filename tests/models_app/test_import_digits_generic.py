"""import_digits: generic datasets, generic models, and jobs that cannot be imported."""

import json
import re

import numpy as np
import pytest
from django.core.management import call_command
from PIL import Image

from datasets.models import Dataset
from digits_project.jobs.models import Status
from inference import services
from tests.support.samples.digits_job_samples import layer_message, weights_blob, write_digits_job
from tests.support.samples.prebuilt_samples import (
    blob_proto,
    caffe_order,
    datum,
    encoded_datum,
    photo_crops,
    write_lmdb,
)

pytestmark = pytest.mark.django_db

DATASET, MODEL = "20160301-120000-0c1a", "20160301-130000-4907"
PREBUILT = "digits.dataset.images.generic.job.GenericImageDatasetJob"
EXTENSION = "digits.dataset.generic.job.GenericDatasetJob"
SIDE = 8
IMAGES = photo_crops(7, SIDE)
LABELS = [np.float32([[[i]], [[-i]]]) for i in range(len(IMAGES))]
MEAN = np.mean([caffe_order(image) for image in IMAGES], axis=0).astype(np.float32)
NETWORK = """
layer { name: "data" type: "Data" top: "data" include { phase: TRAIN } transform_param { mean_file: "mean.binaryproto" }
  data_param { source: "train_db/features" batch_size: 5 backend: LMDB } }
layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "scores" bottom: "label" top: "loss" }
"""


@pytest.fixture
def jobs(tmp_path):
    return tmp_path / "jobs"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with databases of images and of labels, and a mean image."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_databases(folder, "images", "labels")
    return folder


def write_databases(folder, images, labels):
    write_lmdb(folder / images, [encoded_datum(image) for image in IMAGES])
    write_lmdb(folder / labels, [datum(label) for label in LABELS])
    (folder / "mean.binaryproto").write_bytes(blob_proto(MEAN, num=1, channels=3, height=SIDE, width=SIDE))


def run_import(jobs):
    call_command("import_digits", jobs, "--json")


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_generic_dataset_is_imported_from_databases_in_another_folder(jobs, elsewhere, protocol):
    tasks = [
        {"database": str(elsewhere / "images"), "purpose": "Training Images"},
        {"purpose": "Training Labels", "database": str(elsewhere / "labels")},
        {"database": str(elsewhere / "images"), "purpose": "Validation Images"},
        {"database": str(elsewhere / "labels"), "purpose": "Validation Labels"},
    ]
    facts = {"_name": "Old pairs", "mean_file": str(elsewhere / "mean.binaryproto")}
    write_digits_job(jobs / DATASET, PREBUILT, protocol, tasks, **facts)
    run_import(jobs)
    dataset = Dataset.objects.get(pk=DATASET)
    assert (dataset.name, dataset.kind, dataset.status) == ("Old pairs", "generic", Status.DONE)
    assert dataset.splits == [{"name": "train", "entries": 7}, {"name": "val", "entries": 7}]
    assert dataset.label_shape == [2, 1, 1]
    assert np.load(dataset.directory / "mean.npy") == pytest.approx(MEAN[::-1])


def test_a_model_of_an_extension_dataset_gives_the_outputs_of_caffe(jobs, tmp_path):
    dataset = write_digits_job(jobs / DATASET, EXTENSION, _name="Old segments")
    (dataset / "train_db").mkdir()
    write_databases(dataset / "train_db", "features", "labels")
    model = write_digits_job(jobs / MODEL, "digits.model.images.generic.job.GenericImageModelJob", dataset_id=DATASET)
    weights = np.random.default_rng(1).normal(0, 0.01, (2, 3 * SIDE * SIDE)).astype(np.float32), np.float32([1, -2])
    (model / "train_val.prototxt").write_text(NETWORK)
    (model / "snapshot_iter_10.caffemodel").write_bytes(layer_message("scores", *map(weights_blob, weights)))
    run_import(jobs)
    assert Dataset.objects.get().label_shape == [2, 1, 1]
    Image.fromarray(IMAGES[3]).save(tmp_path / "image.png")
    snapshot = services.find_snapshot(MODEL)
    outputs = services.infer(snapshot, services.reader(snapshot)(tmp_path / "image.png"))
    expected = weights[0] @ (caffe_order(IMAGES[3]) - MEAN).ravel() + weights[1]
    assert np.ravel(outputs["scores"]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "dotted, file, facts, kind, reason",
    [
        ("digits.model.images.classification.job.ImageClassificationModelJob", "model.lua", {}, "model", "with Torch"),
        ("digits.model.images.generic.job.GenericImageModelJob", "network.py", {}, "model", "trained with TensorFlow"),
        ("digits.model.job.ModelJob", "x", {"framework_id": "theano"}, "model", "with theano; only Caffe's"),
        (PREBUILT, "x", {}, "dataset", "place of its databases is unknown"),
        ("digits.dataset.images.extraction.job.ExtractionDatasetJob", "x", {}, "dataset", "no labels.txt .*Extraction"),
        ("digits.evaluation.job.EvaluationJob", "x", {}, "job", "^EvaluationJob is neither a dataset nor a model"),
    ],
    ids=["torch", "tensorflow", "another", "nowhere", "extraction", "evaluation"],
)
def test_a_job_that_cannot_be_imported_is_left_out_with_the_reason(jobs, dotted, file, facts, kind, reason, capsys):
    (write_digits_job(jobs / MODEL, dotted, **facts) / file).write_text("")
    left_out, summary = failed_import(jobs, capsys)
    assert (left_out["id"], left_out["kind"]) == (MODEL, kind)
    assert re.search(reason, left_out["left_out"]), left_out["left_out"]
    assert "0 imported, 0 already there, 1 left out" in summary


def test_databases_that_are_missing_or_outside_of_the_data_roots_are_reported(jobs, elsewhere, settings, capsys):
    tasks = [{"database": str(elsewhere / "images"), "purpose": "Training Images"}]
    write_digits_job(jobs / DATASET, PREBUILT, tasks=tasks)
    settings.DIGITS_DATA_ROOTS = [jobs]
    assert "is not in a folder that this server may read" in failed_import(jobs, capsys)[0]["left_out"]
    (elsewhere / "images").rename(elsewhere / "moved")
    assert failed_import(jobs, capsys)[0]["left_out"].startswith(
        f"{elsewhere / 'images'}, from which it was built, is not on this server"
    )
    assert not Dataset.objects.exists()


def failed_import(jobs, capsys):
    """Import a folder whose only job is left out; return the job's JSON and the text on standard error."""
    with pytest.raises(SystemExit) as end:
        run_import(jobs)
    shown = capsys.readouterr()
    [left_out] = json.loads(shown.out)
    assert end.value.code == 1
    return left_out, shown.err
