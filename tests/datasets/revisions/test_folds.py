"""Folds of a dataset: which images each has, and what depends on it."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from datasets import integrity, revisions
from datasets.imagedb import Changes
from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.revising.folds import joined, parts_of
from datasets.models import Dataset
from datasets.tasks import build_dataset
from tests.datasets.revisions.test_revisions import lines, records

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}
FOLDS = 3


@pytest.fixture
def folds(built_dataset):
    """The built folds of a dataset."""
    made = [revisions.make_fold(built_dataset, "ada", number, FOLDS, name=f"fold {number}") for number in (1, 2, 3)]
    for fold in made:
        build_dataset(fold.pk)
        fold.refresh_from_db()
    return made


def test_each_image_is_for_validation_in_one_fold_and_for_training_in_all_others(folds, built_dataset):
    whole = Counter([*records(built_dataset, "train"), *records(built_dataset, "val")])
    assert [(fold.status, fold.error, fold.parent) for fold in folds] == [("Done", "", built_dataset)] * FOLDS
    assert sum((Counter(records(fold, "val")) for fold in folds), Counter()) == whole
    for fold in folds:
        assert Counter([*records(fold, "train"), *records(fold, "val")]) == whole
        assert not set(records(fold, "train")) & set(records(fold, "val"))
        assert [int(line.rpartition(" ")[2]) for line in lines(fold, "val")] == [one[0] for one in records(fold, "val")]
        integrity.check_dataset(fold, ["train", "val"], lambda: None, mean=True)


def test_the_categories_of_a_fold_are_as_frequent_as_in_the_dataset(folds, built_dataset):
    total = np.sum([split["per_category"] for split in built_dataset.splits], axis=0)
    for fold in folds:
        counts = np.array(fold.splits[1]["per_category"])
        assert (np.abs(counts - total / FOLDS) < 1).all()


def test_a_fold_has_the_mean_of_its_own_training_images(folds):
    pixels = [decode_record(payload) for _, payload in records(folds[0], "train")]
    stored = np.load(folds[0].directory / "mean.npy").transpose(1, 2, 0)
    assert stored == pytest.approx(np.mean(pixels, axis=0), abs=1e-3)


def test_a_fold_names_its_dataset_on_its_page_and_is_no_revision(folds, built_dataset, client):
    facts = client.get(f"/api/v1/datasets/{folds[1].pk}").json()
    assert (facts["parent_id"], facts["fold"], facts["folds"], facts["revision"]) == (built_dataset.pk, 2, 3, None)
    assert "2 of 3 of" in client.get(f"/datasets/{folds[1].pk}", headers=BROWSER).content.decode()
    assert list(revisions.revisions_of(built_dataset)) == []


def test_copies_share_a_part_and_the_parts_depend_on_the_images_only():
    digests = np.arange(40, dtype=np.uint64) // 2 * 7919 % 101  # each image has a copy
    labels, none = np.arange(40) // 2 % 2, np.full(40, -1)
    parts = parts_of(labels, joined(digests, none, "auto"), digests, 5)
    assert (parts[0::2] == parts[1::2]).all()
    assert np.bincount(parts).tolist() == [8] * 5
    backwards = parts_of(labels[::-1], joined(digests[::-1], none, "auto"), digests[::-1], 5)
    assert backwards[::-1].tolist() == parts.tolist()
    others = digests * 31 % 101  # as with another seed
    assert parts_of(labels, joined(others, none, "auto"), others, 5).tolist() != parts.tolist()


def test_copies_and_images_of_a_group_are_joined_and_off_joins_none():
    digests = np.array([5, 9, 9, 2], np.uint64)
    one, again, other, last = joined(digests, np.array([0, 0, 1, -1]), "*/{group}_*").tolist()
    assert one == again == other != last
    assert len(set(joined(digests, np.full(4, -1), "off").tolist())) == 4
    assert len(set(joined(digests, np.full(4, -1), "auto").tolist())) == 3


def test_the_seed_decides_which_images_are_in_a_part(built_dataset):
    of_seeds = []
    for seed in (0, 1):
        Dataset.objects.filter(pk=built_dataset.pk).update(seed=seed)
        fold = revisions.make_fold(Dataset.objects.get(pk=built_dataset.pk), "ada", 1, FOLDS, name="fold")
        build_dataset(fold.pk)
        of_seeds.append(set(records(fold, "val")))
    assert of_seeds[0] != of_seeds[1]


@pytest.fixture
def patients(tmp_path, make_dataset):
    """A built dataset of images of ten patients, each with six images of both categories."""
    shades = iter(range(60))
    for patient in range(10):
        for number in range(6):
            path = tmp_path / "scans" / ("ill", "well")[number % 2] / f"p{patient}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (28, 28), 4 * next(shades)).save(path)
    dataset = make_dataset(folder_train=str(tmp_path / "scans"), split_groups="*/{group}_*", name="scans")
    build_dataset(dataset.pk)
    return Dataset.objects.get(pk=dataset.pk)


def patients_of(dataset, split):
    return {line.rpartition("/")[2].partition("_")[0] for line in lines(dataset, split)}


def test_images_of_a_patient_share_a_part_also_in_a_fold_of_a_revision(patients):
    revision = revisions.revise(patients, "ada", Changes(exclude=["train/0"]))
    build_dataset(revision.pk)
    revision.refresh_from_db()
    for dataset in (patients, revision):
        fold = revisions.make_fold(dataset, "ada", 2, FOLDS, name="fold")
        build_dataset(fold.pk)
        fold.refresh_from_db()
        assert (fold.status, fold.error) == ("Done", "")
        assert len(patients_of(fold, "train") | patients_of(fold, "val")) == 10
        assert not patients_of(fold, "train") & patients_of(fold, "val")


def test_a_fold_can_itself_be_folded_by_its_groups(patients):
    fold = revisions.make_fold(patients, "ada", 1, FOLDS, name="fold")
    build_dataset(fold.pk)
    fold.refresh_from_db()
    assert (fold.directory / "val.groups").stat().st_size == 4 * fold.entries("val")
    again = revisions.make_fold(fold, "ada", 1, FOLDS, name="fold of a fold")
    build_dataset(again.pk)
    again.refresh_from_db()
    assert (again.status, again.error) == ("Done", "")
    assert not patients_of(again, "train") & patients_of(again, "val")


@pytest.mark.parametrize("name", ["train.sizes", "train.groups"])
def test_a_file_with_too_few_rows_is_named(patients, name):
    path = patients.directory / name
    path.write_bytes(path.read_bytes()[:-4])
    fold = revisions.make_fold(patients, "ada", 1, FOLDS, name="fold")
    revision = revisions.revise(patients, "ada", Changes(exclude=["train/0"]))
    for dataset in (fold, revision):
        build_dataset(dataset.pk)
        dataset.refresh_from_db()
        assert (dataset.status, f"{name} does not have one row for each record" in dataset.error) == ("Error", True)


def test_a_dataset_that_does_not_store_its_groups_is_not_folded(patients):
    (patients.directory / "train.groups").unlink()
    fold = revisions.make_fold(patients, "ada", 1, FOLDS, name="fold")
    build_dataset(fold.pk)
    fold.refresh_from_db()
    assert (fold.status, "Build it again" in fold.error) == ("Error", True)


def test_more_folds_than_images_are_an_error_that_says_so(built_dataset):
    fold = revisions.make_fold(built_dataset, "ada", 1, 500, name="fold")
    build_dataset(fold.pk)
    fold.refresh_from_db()
    assert (fold.status, "too few for 500 folds" in fold.error) == ("Error", True)
