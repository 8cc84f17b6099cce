"""Missing, empty, truncated and changed files of a dataset: jobs that need them fail and name the file."""

import shutil

import pytest

from datasets.imagedb import PrebuiltSpec, PrebuiltSplit
from datasets.integrity import check_dataset
from datasets.services import take_prebuilt
from datasets.tasks import build_dataset
from digits_project.common.digests import sha256
from digits_project.common.errors import Aborted
from digits_project.jobs.services import submit
from inference.tasks import evaluate
from models_app.results import Evaluation
from models_app.tasks import train_model
from tests.support.damage import DAMAGES, cut_in_half, delete, empty, flip_bit
from tests.support.samples.row_samples import add_snapshot

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["train.rec", "train.idx", "val.rec", "val.idx", "labels.txt", "mean.npy"])
def test_a_training_on_a_damaged_dataset_fails_and_names_the_file(built_dataset, make_model, cpu, name, damage):
    model = make_model(built_dataset)
    cpu.leased_to = model.pk
    cpu.save()
    damage(built_dataset.directory / name)
    train_model(model.pk)
    model.refresh_from_db()
    assert (model.status, f"{built_dataset.pk}/{name}" in model.error) == ("Error", True), model.error
    assert str(built_dataset.directory) not in model.error


TRAINING_FILES = [f"{split}.{what}" for split in ("train", "val") for what in ("rec", "idx")] + ["mean.npy"]


def test_a_build_stores_the_digests_of_the_files_that_a_training_reads(built_dataset):
    names = [*TRAINING_FILES, "labels.txt"]
    assert {name: built_dataset.digests[name] for name in names} == digests_of(built_dataset.directory, names)


def test_a_generic_dataset_stores_the_digests_of_the_files_that_a_training_reads(built_dataset, make_dataset):
    generic, source = make_dataset(), built_dataset.directory
    spec = PrebuiltSpec(PrebuiltSplit(source / "train.rec"), PrebuiltSplit(source / "val.rec"))
    take_prebuilt(generic, spec, lambda fraction: None)
    generic.refresh_from_db()
    assert generic.digests == digests_of(generic.directory, sorted(TRAINING_FILES))


def digests_of(directory, names):
    return {name: sha256(directory / name) for name in names}


def test_a_dataset_without_digests_can_be_used_for_training(built_dataset, make_model, cpu):
    type(built_dataset).objects.update(digests={})
    model = make_model(built_dataset)
    cpu.leased_to = model.pk
    cpu.save()
    flip_bit(built_dataset.directory / "mean.npy")
    train_model(model.pk)
    model.refresh_from_db()
    assert model.status == "Done", model.error


def test_the_check_of_a_dataset_can_be_aborted(built_dataset):
    def abort():
        raise Aborted

    with pytest.raises(Aborted):
        check_dataset(built_dataset, ("train",), abort)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["val.rec", "val.idx", "labels.txt"])
def test_an_evaluation_on_a_damaged_dataset_fails_and_names_the_file(built_dataset, make_model, name, damage):
    model = make_model(built_dataset)
    add_snapshot(model, 1, seed=1)
    evaluation = submit(Evaluation(trained_model=model, epoch=1, split="val", name="e"))
    damage(built_dataset.directory / name)
    evaluate(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, f"{built_dataset.pk}/{name}" in evaluation.error) == ("Error", True), evaluation.error


@pytest.mark.parametrize("kind", ["dataset", "model", "evaluation"])
def test_a_job_without_its_folder_fails_and_names_the_folder(built_dataset, make_dataset, make_model, cpu, kind):
    model = make_model(built_dataset)
    cpu.leased_to = model.pk
    cpu.save()
    add_snapshot(model, 1, seed=1)
    job, task = {
        "dataset": lambda: (make_dataset(), build_dataset),
        "model": lambda: (model, train_model),
        "evaluation": lambda: (submit(Evaluation(trained_model=model, epoch=1, split="val", name="e")), evaluate),
    }[kind]()
    shutil.rmtree(job.directory)
    task(job.pk)
    job.refresh_from_db()
    assert (job.status, f"The folder {job.pk} is missing" in job.error) == ("Error", True), job.error


@pytest.mark.parametrize("name", ["train.rec", "train.idx"])
@pytest.mark.parametrize("damage", [delete, empty, cut_in_half], ids=lambda damage: damage.__name__)
def test_the_gallery_of_a_damaged_dataset_names_the_file(admin_client, built_dataset, name, damage):
    damage(built_dataset.directory / name)
    page = f"/admin/datasets/dataset/{built_dataset.pk}"
    for path in ("/images/", "/images/train/0", "/strip.png"):
        response = admin_client.get(page + path, follow=True)
        assert response.status_code in (200, 409)
        assert name in response.content.decode(), path
        assert str(built_dataset.directory) not in response.content.decode().split("folder_train")[0], path
    assert admin_client.get(f"{page}/change/").status_code == 200
