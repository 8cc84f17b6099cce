"""Revisions of a dataset: what their databases hold, what they say of their changes, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from django.contrib.auth.models import Group

from datasets import integrity, reports, revisions
from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset, DatasetReport
from datasets.tasks import build_dataset, make_report
from digits_project.common.errors import HasDependents
from digits_project.jobs import services
from tests.support.api_requests import make_account
from tests.support.samples.imagedb_samples import write_28_pixel_digits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def revise(client):
    """A function that posts changes of a dataset, builds the revision, and returns it."""

    def revise(dataset, **changes):
        response = client.post(f"/datasets/{dataset.pk}/revisions.json", changes, content_type="application/json")
        assert response.status_code == 200, response.content
        build_dataset(response.json()["id"])
        return Dataset.objects.get(pk=response.json()["id"])

    return revise


def records(dataset, split):
    with RecordReader(dataset.directory / f"{split}.rec") as reader:
        return [reader[number] for number in range(len(reader))]


def lines(dataset, split):
    return (dataset.directory / f"{split}.txt").read_text().splitlines()


def test_a_revision_has_the_other_records_in_their_order_with_the_new_labels(built_dataset, revise):
    old, old_lines = records(built_dataset, "train"), lines(built_dataset, "train")
    target = 3 if old[7][0] != 3 else 4
    revision = revise(built_dataset, exclude=["train/0", "train/5", "val/2"], relabel={"train/7": str(target)})
    wanted = [(target if number == 7 else label, payload) for number, (label, payload) in enumerate(old)]
    wanted = [record for number, record in enumerate(wanted) if number not in (0, 5)]
    assert (revision.status, revision.error) == ("Done", "")
    assert records(revision, "train") == wanted
    assert len(records(revision, "val")) == built_dataset.entries("val") - 1
    assert lines(revision, "train")[5] == f"{old_lines[7].rpartition(' ')[0]} {target}"
    assert [int(line.rpartition(" ")[2]) for line in lines(revision, "train")] == [label for label, _ in wanted]
    assert (revision.directory / "train.sizes").stat().st_size == 4 * len(wanted)
    assert revision.splits[0]["per_category"] == np.bincount([int(label) for label, _ in wanted]).tolist()
    assert (revision.categories, revision.parent) == (built_dataset.categories, built_dataset)
    integrity.check_dataset(revision, ["train", "val"], lambda: None, mean=True)
    integrity.check_mean(revision)


def test_a_revision_has_the_mean_that_a_build_of_its_images_would_have(built_dataset, revise):
    few = revise(built_dataset, exclude=["train/0", "train/1"])
    many = revise(built_dataset, exclude=[f"train/{number}" for number in range(70)])
    for revision in (few, many):
        with RecordReader(revision.directory / "train.rec") as reader:
            decoded = [decode_record(reader[number][1]) for number in range(len(reader))]
        mean = np.mean(decoded, axis=0, dtype=np.float64).transpose(2, 0, 1)
        assert np.array_equal(np.load(revision.directory / "mean.npy"), mean.astype(np.float32))


def test_the_difference_of_a_revision_is_there_after_its_parent_is_deleted(built_dataset, revise, client):
    path = lines(built_dataset, "train")[5].rpartition(" ")[0]
    category = built_dataset.categories[int(records(built_dataset, "train")[5][0])]
    other = "3" if category != "3" else "4"
    revision = revise(built_dataset, exclude=["train/5"])
    again = revise(built_dataset, relabel={"train/5": other})
    services.delete(built_dataset)
    found = client.get(f"/datasets/{revision.pk}/diff.json").json()
    image = {"image": "train/5", "path": path}
    assert found["excluded"] == [image | {"category": category}]
    assert (found["before_id"], found["before_name"], found["relabelled"]) == (built_dataset.pk, "digits", [])
    counts = next(row for row in found["categories"] if row["category"] == category)
    assert counts["before"]["train"] - counts["after"]["train"] == 1
    between = client.get(f"/datasets/{revision.pk}/diff.json?before={again.pk}").json()
    assert between["excluded"] == [image | {"category": other}]
    assert client.get(f"/datasets/{again.pk}/diff.json").json()["relabelled"] == [
        image | {"from": category, "to": other}
    ]
    page = client.get(f"/datasets/{revision.pk}/diff", headers=BROWSER).content.decode()
    assert path in page
    assert "digits, which was deleted" in client.get(f"/datasets/{revision.pk}", headers=BROWSER).content.decode()


def test_revisions_of_revisions_are_compared_image_by_image(built_dataset, revise, client):
    first = revise(built_dataset, exclude=["train/0", "val/3"])
    second = revise(first, exclude=["train/0", "train/4"])  # train/1 and train/5 of the dataset
    found = client.get(f"/datasets/{second.pk}/diff.json?before={built_dataset.pk}").json()
    assert [image["image"] for image in found["excluded"]] == ["train/0", "train/1", "train/5", "val/3"]
    back = client.get(f"/datasets/{built_dataset.pk}/diff.json?before={second.pk}").json()
    assert [image["image"] for image in back["added"]] == ["train/0", "train/1", "train/5", "val/3"]
    assert (first.name, second.name) == ("digits, revision 1", "digits, revision 2")
    assert client.get(f"/datasets/{first.pk}/revisions.json").json()["revisions"] == [
        {"id": second.pk, "name": second.name, "status": "Done", "excluded": 2, "relabelled": 0}
    ]


def test_a_revision_does_not_take_the_name_of_another_after_one_was_deleted(built_dataset, revise):
    first, second = revise(built_dataset, exclude=["train/0"]), revise(built_dataset, exclude=["train/1"])
    services.delete(first)
    assert (second.name, revisions.next_name(built_dataset)) == ("digits, revision 2", "digits, revision 3")


@pytest.mark.parametrize(
    "changes, field, message",
    [
        ({"exclude": ["train/999", "dev/1", "train/-1"]}, "exclude", "There is no image train/999, dev/1, train/-1"),
        ({"relabel": {"train/1": "fish"}}, "relabel", "The dataset has no category fish. Its categories are 0, 1, 2"),
        ({"exclude": ["val/1"], "relabel": {"val/1": "3"}}, "relabel", "given another category: val/1"),
        ({"exclude": [f"val/{number}" for number in range(30)]}, "exclude", "No image of the split val would be left"),
        ({"exclude": ["train/1", "train/1"]}, "exclude", "Named twice: train/1"),
        ({"exclude": {"train": 1}}, "exclude", "Send a list of images. Write an image as train/17"),
        ({"relabel": 3}, "relabel", 'Send an object with the new category of each image, such as {"train/17": "cat"}.'),
        ({"relabel": "train/3"}, "relabel", "train/3 is not of the form train/17=cat"),
        ({"relabel": {f"train/{number}": "1" for number in range(90)}}, "exclude", "a classifier needs two"),
        ({}, "exclude", "Nothing would change"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(built_dataset, client, changes, field, message):
    response = client.post(
        f"/datasets/{built_dataset.pk}/revisions.json", json.dumps(changes), content_type="application/json"
    )
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]
    assert Dataset.objects.count() == 1


def test_a_dataset_cannot_be_deleted_while_it_is_revised(built_dataset, client):
    address = f"/datasets/{built_dataset.pk}/revisions.json"
    made = client.post(address, {"exclude": "train/1 train/2", "relabel": "train/3=4\nval/1=2"}).json()
    with pytest.raises(HasDependents, match="digits, revision 1"):
        services.delete(built_dataset)
    Dataset.objects.filter(pk=built_dataset.pk).delete()  # as an operator in the database
    build_dataset(made["id"])
    revision = Dataset.objects.get()
    assert (revision.status, revision.parent) == ("Error", None)
    assert revision.error == "The dataset that this one revises was deleted, so its images can't be copied."


@pytest.mark.parametrize("name", ["val.rec", "mean.npy"])
def test_a_dataset_whose_files_are_damaged_is_not_revised(built_dataset, client, name):
    made = client.post(f"/datasets/{built_dataset.pk}/revisions.json", {"exclude": "train/1"}).json()
    damaged = built_dataset.directory / name
    content = bytearray(damaged.read_bytes())
    content[200] ^= 1
    damaged.write_bytes(content)
    build_dataset(made["id"])
    revision = Dataset.objects.get(pk=made["id"])
    assert revision.status == "Error"
    assert f"{name} is damaged" in revision.error
    assert not list(revision.directory.glob("*.rec"))


def test_only_datasets_for_classification_that_are_done_are_revised(make_dataset, client):
    waiting = make_dataset()
    response = client.post(f"/datasets/{waiting.pk}/revisions.json", {"exclude": "train/1"})
    assert response.status_code == 409
    assert "digits is Waiting; a dataset can be revised when it is Done" in response.content.decode()
    Dataset.objects.update(kind="generic")
    response = client.post(f"/datasets/{waiting.pk}/revisions.json", {"exclude": "train/1"})
    assert response.status_code == 400
    assert "only image classification datasets can be revised" in response.content.decode()


def test_copies_are_counted_again_and_a_category_without_images_is_kept(make_dataset, revise, tmp_path):
    folder = write_28_pixel_digits(tmp_path / "digits", categories=3, each=4)
    shutil.copy(folder / "0/0.png", folder / "0/copy.png")
    shutil.copy(folder / "1/0.png", folder / "1/copy.png")
    dataset = make_dataset(folder_train=str(folder), folder_pct_val=0)
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.copies["pictures"], dataset.copies["in_two_categories"]) == (2, 0)
    of_zero = [number for number, line in enumerate(lines(dataset, "train")) if line.endswith(" 0")]
    copy = next(number for number, line in enumerate(lines(dataset, "train")) if line.endswith("1/copy.png 1"))
    revision = revise(dataset, exclude=[f"train/{number}" for number in of_zero], relabel={f"train/{copy}": "2"})
    assert (revision.copies["images"], revision.copies["in_two_categories"]) == (2, 1)
    assert "1/copy.png" in revision.copies["remarks"][1]
    assert revision.categories == dataset.categories
    assert revision.warnings == ["The category 0 has no image for training any more. It is kept."]


def test_the_page_before_a_revision_shows_what_would_change(built_dataset, client):
    address = f"/pages/datasets/{built_dataset.pk}/revision"
    ticks = {"tick": ["blank:train/3", "dark:train/3", "blank:val/1"], "to:blank:val/1": "5", "changes": "train/4=6"}
    page = client.post(address, ticks, headers=BROWSER).content.decode()
    assert 'name="exclude" value="train/3"' in page
    assert 'name="relabel" value="train/4=6\nval/1=5"' in page
    assert "digits, revision 1" in page
    page = client.post(address, {}, headers=BROWSER).content.decode()
    assert "Nothing would change: name images to leave out" in page
    assert Dataset.objects.count() == 1


def test_a_revision_with_a_damaged_list_of_origins_is_named_and_is_not_compared(built_dataset, revise, client):
    revision = revise(built_dataset, exclude=["train/0"])
    path = revision.directory / "train.origins.npy"
    path.write_bytes(path.read_bytes()[:-4])
    response = client.get(f"/datasets/{revision.pk}/diff.json?before={built_dataset.pk}")
    assert (response.status_code, "train.origins.npy can't be read" in response.content.decode()) == (409, True)
    again = client.post(f"/datasets/{revision.pk}/revisions.json", {"exclude": "train/1"}).json()
    build_dataset(again["id"])
    assert "train.origins.npy can't be read" in Dataset.objects.get(pk=again["id"]).error


def test_what_is_ticked_for_one_image_counts_more_than_what_is_ticked_for_all(built_dataset, client):
    make_report(reports.start(built_dataset, "ada").pk)
    report = DatasetReport.objects.get()
    [finding] = reports.findings(report, "label_errors", size=1)
    [found] = finding["images"]
    image = f"{found['split']}/{found['record']}"
    of_image = next(name for name in "012" if name not in (finding["likelier"], found["category"]))
    address = f"/pages/datasets/{built_dataset.pk}/revision"
    page = client.post(address, {"all": "label_errors", "changes": f"{image}={of_image}"}, headers=BROWSER)
    assert f"{image}={of_image}" in page.content.decode()
    page = client.post(address, {"all": "label_errors", "changes": image}, headers=BROWSER)
    assert f'name="exclude" value="{image}"' in page.content.decode()


def test_the_page_before_a_revision_takes_forms_only(built_dataset, client):
    address = f"/pages/datasets/{built_dataset.pk}/revision"
    without_body = client.generic("POST", address, content_type="", headers=BROWSER)
    assert "Nothing would change: name images to leave out" in without_body.content.decode()
    assert client.post(address, {"all": ["blank"]}, content_type="application/json").status_code == 415


def test_a_private_server_hides_a_parent_that_the_user_may_not_see(built_dataset, revise, client, settings):
    revision = revise(built_dataset, exclude=["train/1"])
    Dataset.objects.filter(pk=revision.pk).update(owner="ben")
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    client.force_login(make_account("ben", "user"))
    address = f"/datasets/{built_dataset.pk}/revisions.json"
    assert client.post(address, {"exclude": "train/2"}).status_code == 404
    found = client.get(f"/datasets/{revision.pk}/diff.json").json()
    assert (found["before_id"], found["before_name"], len(found["excluded"])) == ("", "", 1)
    assert "/" not in found["excluded"][0]["path"]
    facts = client.get(f"/api/v1/datasets/{revision.pk}").json()
    assert (facts["parent_id"], facts["revision"]) == (None, {"excluded": 1, "relabelled": 0})
    page = client.get(f"/datasets/{revision.pk}", headers=BROWSER).content.decode()
    assert "or that you can’t see" in page
    assert built_dataset.pk not in page


def test_a_private_server_names_a_deleted_parent_to_the_owner_of_the_revision_only(
    built_dataset, revise, client, settings
):
    revision = revise(built_dataset, exclude=["train/1"], dataset_name="shared")
    Dataset.objects.filter(pk=revision.pk).update(owner="ben")
    services.delete(built_dataset)
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    client.force_login(make_account("ben", "user"))
    assert "digits, which was deleted" in client.get(f"/datasets/{revision.pk}", headers=BROWSER).content.decode()
    revision.shared_with.add(Group.objects.get(name="user"))
    client.force_login(make_account("cyd", "user"))
    found = client.get(f"/datasets/{revision.pk}/diff.json").json()
    assert (found["before_id"], found["before_name"], len(found["excluded"])) == ("", "", 1)
    for address in (f"/datasets/{revision.pk}", f"/datasets/{revision.pk}/diff"):
        page = client.get(address, headers=BROWSER).content.decode()
        assert "a dataset that was deleted, or that you can’t see" in page
        assert built_dataset.pk not in page
        assert "digits, which" not in page
