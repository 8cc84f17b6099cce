"""classify_many: its page, which compares the predictions with the labels of the list."""

import re

import numpy as np
import pytest

from inference.list_accuracy import ListAccuracy, Row
from tests.support.samples.row_samples import image_list

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]
HTML = {"Accept": "text/html"}


def test_a_browser_gets_a_page_with_the_predictions(classify_many, three_images):
    response = classify_many(image_list(three_images[0], "/nowhere"), suffix="", headers=HTML)
    assert response["Content-Type"].startswith("text/html")
    assert response["X-Digits-Skipped"] == "1"
    assert three_images[0] in response.content.decode()


def tables_of(response):
    """The tables of a page, as lists of rows of texts."""
    tables = re.findall(r"<table.*?</table>", response.content.decode(), re.DOTALL)
    rows = [re.findall(r"<tr>.*?</tr>", table, re.DOTALL) for table in tables]
    cell = re.compile(r"<t[hd].*?>(.*?)</t[hd]>", re.DOTALL)
    return [[[" ".join(text.split()) for text in cell.findall(row)] for row in table] for table in rows]


def test_the_page_compares_the_predictions_with_the_labels_of_the_list(classify_many, ranking, digits_folder, tmp_path):
    paths = [digits_folder / digit / f"{i}.png" for digit in "36" for i in range(4)]
    rankings = [ranking(path) for path in paths]
    listed = image_list(*(f"{path} {path.parent.name}" for path in paths), f"{paths[0]} 99", f"{paths[1]} -1", paths[2])
    response = classify_many(listed, suffix="", headers=HTML)
    (heading, *rows), listing = tables_of(response)[:2]
    predicted = [five_best[0][0] for five_best in rankings]
    assert heading == ["Category", "Images", "Accuracy", *(f"predicted {c}" for c in sorted({*"36", *predicted}))]
    right = [truth == best for truth, best in zip("33336666", predicted, strict=True)]
    assert [row[:3] for row in rows] == [
        ["3", "4", f"{25.0 * sum(right[:4])}%"],
        ["6", "4", f"{25.0 * sum(right[4:])}%"],
    ]
    assert [sum(map(int, row[3:])) for row in rows] == [4, 4]
    among_five = sum(path.parent.name in dict(five_best) for path, five_best in zip(paths, rankings, strict=True))
    text = " ".join(response.content.decode().split())
    assert f"{12.5 * sum(right)}% of 8 images are classified correctly; {12.5 * among_five}% have" in text
    best, percent = rankings[0][0]
    assert listing[1][:2] == [str(paths[0]), f"{best} {percent:.2f}%"]


def test_the_page_of_a_list_without_labels_shows_no_accuracy(classify_many, three_images):
    assert "Accuracy" not in classify_many(image_list(*three_images), suffix="", headers=HTML).content.decode()


def test_a_confusion_matrix_too_wide_for_a_page_is_left_out():
    accuracy = ListAccuracy([str(number) for number in range(200)])
    accuracy.add(range(200), np.eye(200)[::-1])
    assert (accuracy.columns, len(accuracy.rows), accuracy.rows[0].counts) == ([], 200, [])
    assert (accuracy.images, accuracy.accuracy) == (200, 0)


@pytest.mark.parametrize("categories", [12, 1200])
def test_the_accuracy_of_a_list_is_the_same_with_a_whole_matrix_and_without(categories):
    labels, predictions = [3, 3, 9, None, 9, 9, categories, -1, 10**30], [3, 4, 9, 3, 9, 4, 1, 1, 1]
    accuracy = ListAccuracy([f"c{number}" for number in range(categories)])
    accuracy.add(labels, np.eye(categories)[predictions])
    assert (accuracy.images, accuracy.accuracy, accuracy.columns) == (5, 60.0, ["c3", "c4", "c9"])
    assert accuracy.rows == [Row("c3", 2, 50.0, [1, 1, 0]), Row("c9", 3, 66.67, [0, 1, 2])]


def test_a_list_without_labels_has_no_rows():
    accuracy = ListAccuracy(["a", "b"])
    accuracy.add([None], np.eye(2)[:1])
    assert (accuracy.images, accuracy.accuracy, accuracy.rows, accuracy.columns) == (0, 0.0, [], [])
