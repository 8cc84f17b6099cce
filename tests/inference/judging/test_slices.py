"""The slices of an evaluation by what is known of its images."""

import numpy as np
import pytest

from datasets.report.image_measures import MEASURES, measure
from datasets.report.image_set import ImageSet
from datasets.report.stored_measures import FILE as MEASURES_FILE
from datasets.report.stored_measures import write_measures
from inference import image_answers
from inference.judging.image_columns import columns_of
from inference.judging.proportions import wilson
from inference.judging.slices import CanNotSlice, slices_of
from inference.tasks import evaluate
from models_app import evaluations
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def evaluation(built_dataset, make_model):
    """The evaluation of a snapshot of random weights."""
    model = make_model(built_dataset, name="LeNet")
    add_snapshot(model, 1, seed=1)
    evaluate(evaluations.evaluate(model, "val").pk)
    return model.evaluations.get()


@pytest.fixture
def answer(evaluation):
    """A function that replaces the stored answers: right for the images that are chosen."""

    def answer(right):
        given = image_answers.read(evaluation.directory)
        answers = np.where(right, given.truths, given.truths + 1)
        with (evaluation.directory / image_answers.FILE).open("wb") as file:
            np.savez(file, truths=given.truths, answers=answers, confidences=given.confidences)

    return answer


@pytest.fixture
def asked(client, evaluation):
    """A function that returns the JSON of the slices."""
    return lambda **query: client.get(f"/api/v1/evaluations/{evaluation.pk}/slices", query).json()


def measure_images(dataset):
    """Store the measures of the images of val as a report does; returns their brightness."""
    dataset.report_directory.mkdir()
    with ImageSet(dataset.directory, ["val"]) as images:
        measures = np.zeros(len(images), MEASURES)
        for number, row in enumerate(measures):
            measure(images.read(number)[1], row)
        write_measures(dataset.report_directory, measures, images.splits, images.starts)
    return measures["brightness"]


def test_categories_are_slices_with_wilsons_interval_the_worst_first(asked, evaluation, answer):
    truths = image_answers.read(evaluation.directory).truths
    answer((truths != 3) & (np.arange(len(truths)) % 4 > 0))
    [column] = asked(column="category")["columns"]
    assert column["slices"][0]["value"] == "3"
    assert column["slices"][0]["right"] == 0
    for one in column["slices"]:
        assert one["images"] == (truths == int(one["value"])).sum()
        assert one["accuracy_interval"] == pytest.approx(wilson(one["right"], one["images"]), abs=1e-6)
    ends = [one["accuracy_interval"][1] for one in column["slices"]]
    assert ends == sorted(ends)


def test_dark_images_that_are_missed_are_the_worst_slice(asked, evaluation, answer):
    dataset = evaluation.trained_model.dataset
    without = {one["column"]: one["why_none"] for one in asked()["columns"]}
    assert "no report" in without["brightness"]
    light = measure_images(dataset)
    border = np.quantile(light, 0.2)
    answer(light > border)
    found = asked(column="brightness")
    [column] = found["columns"]
    assert sum(one["images"] for one in column["slices"]) == len(light)
    assert found["worst"][0] == column["slices"][0]
    assert (found["worst"][0]["right"], found["worst"][0]["is_worse"]) == (0, True)
    ends = light.min(), light[light <= border].max()
    assert (found["worst"][0]["low"], found["worst"][0]["high"]) == pytest.approx(ends, abs=1e-3)


def test_folders_are_slices_below_what_all_images_share_and_without_the_categories(evaluation):
    dataset, truths = evaluation.trained_model.dataset, image_answers.read(evaluation.directory).truths
    listing = dataset.directory / "val.txt"
    cameras = ["left", "right"]
    lines = [f"/photos of/2026/{cameras[i % 2]}/{c}/{i}.{'JPG' if i else 'png'} {c}\n" for i, c in enumerate(truths)]
    listing.write_text("".join(lines))
    columns = {column.name: column for column in columns_of(dataset, "val", truths)}
    assert columns["folder"].texts == cameras
    assert columns["folder"].values.tolist() == [i % 2 for i in range(len(truths))]
    assert columns["file_type"].texts == ["png", "jpg"]
    listing.unlink()
    assert "does not know the files" in {one.name: one.why for one in slices_of(evaluation).columns}["folder"]


def test_sizes_are_those_of_the_files_before_resizing(evaluation):
    dataset, truths = evaluation.trained_model.dataset, image_answers.read(evaluation.directory).truths
    sizes = np.full((len(truths), 2), (40, 20), "<u2")
    sizes[0], sizes[1] = (0, 0), (300, 100)
    sizes.tofile(dataset.directory / "val.sizes")
    columns = {column.name: column for column in slices_of(evaluation).columns}
    assert {(one.value, one.images) for one in columns["width"].slices} == {("300", 1), ("40", len(truths) - 2)}
    assert {one.value for one in columns["width_by_height"].slices} == {"3", "2"}


def test_an_evaluation_that_is_deleted_meanwhile_is_named_as_gone(evaluation):
    type(evaluation).objects.filter(pk=evaluation.pk).delete()
    with pytest.raises(CanNotSlice, match="was deleted meanwhile"):
        slices_of(evaluation)


def test_the_page_of_an_evaluation_loads_the_slices_and_they_are_a_page_of_their_own(client, evaluation, answer):
    truths = image_answers.read(evaluation.directory).truths
    answer(truths != 3)
    address = f"/models/compare/evaluations/{evaluation.pk}/slices"
    assert f'hx-get="{address}"' in client.get(evaluation.get_absolute_url(), headers=BROWSER).content.decode()
    page = client.get(address, headers=BROWSER).content.decode()
    assert "<td>3</td>" in page
    assert "make its report" in page


@pytest.mark.parametrize("left", [0, 100, 1000])
def test_damaged_answers_count_as_none(client, evaluation, left):
    file = evaluation.directory / image_answers.FILE
    file.write_bytes(file.read_bytes()[:left])
    assert client.get(f"/api/v1/evaluations/{evaluation.pk}/slices").status_code == 409


def test_damaged_measures_of_the_report_count_as_none(client, evaluation):
    folder = evaluation.trained_model.dataset.report_directory
    folder.mkdir()
    (folder / MEASURES_FILE).write_bytes(b"PK\x03\x04 and no archive")
    columns = client.get(f"/api/v1/evaluations/{evaluation.pk}/slices").json()["columns"]
    assert "make its report" in {one["column"]: one["why_none"] for one in columns}["brightness"]


def test_an_evaluation_of_an_earlier_version_has_no_slices_and_says_why(client, evaluation):
    (evaluation.directory / image_answers.FILE).unlink()
    response = client.get(f"/api/v1/evaluations/{evaluation.pk}/slices")
    assert (response.status_code, "evaluate again" in response.content.decode()) == (409, True)
