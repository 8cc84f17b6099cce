"""classify_many: the list's way from the request to the answer, and everything that can be wrong with it."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from rest_framework.views import APIView

from datasets.imagedb.images import decoding
from digits_project.common.errors import BadInput
from digits_project.common.fetch import FetchPolicy
from inference.engine.predictor import Predictor, ranked
from inference.image_list import ImageList
from inference.list_accuracy import ListAccuracy, Row
from tests.support.applications.web_samples import web_server
from tests.support.samples.row_samples import DIGITS, add_snapshot, image_list, with_categories

pytestmark = pytest.mark.django_db
URL = "/models/images/classification/classify_many"
as_usual = APIView.renderer_classes[0]().render


@pytest.fixture(autouse=True)
def _open_server(settings, digits_folder, tmp_path):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder, tmp_path]


@pytest.fixture
def model(make_dataset, make_model):
    """A model with snapshots at the epochs 1 and 2."""
    model = make_model(with_categories(make_dataset()))
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=epoch)
    return model


@pytest.fixture
def ask(client, model):
    def ask(listed, url=f"{URL}.json", **fields):
        upload = io.BytesIO(listed) if isinstance(listed, bytes) else listed
        return client.post(url, {"job_id": model.pk, "image_list": upload} | fields)

    return ask


@pytest.fixture
def three(digits_folder):
    """Three images of different digits."""
    return [str(digits_folder / digit / "0.png") for digit in "369"]


def expected(model, epoch, path):
    """What the snapshot says when it is asked directly."""
    pixels = decoding.read_array(path, 28, 28, 1, "squash")
    scores = Predictor(model.snapshots.get(epoch=epoch).onnx_file).scores(pixels[None])[0]
    return [list(pair) for pair in ranked(scores, DIGITS)]


def complaint(answer):
    return answer.status_code, answer.json()["error"]["description"]


@pytest.mark.parametrize("wire_format", ["documented", "digits"])
def test_every_image_gets_its_five_best_under_its_name(ask, model, digits_folder, three, settings, wire_format):
    settings.DIGITS_WIRE_FORMAT = wire_format
    answer = ask(image_list(*three))
    wanted = {path: expected(model, 2, digits_folder / path) for path in three}
    assert answer.json() == {"classifications": wanted}
    assert list(answer.json()["classifications"]) == three
    assert (answer.status_code, answer["X-Digits-Skipped"]) == (200, "0")


def test_the_answer_is_written_as_every_other_json(ask, three):
    answer = ask(image_list(*three, "/nowhere"))
    assert answer["Content-Type"] == "application/json; charset=utf-8"
    assert answer.content == as_usual(answer.json())


def test_names_need_not_be_ascii(ask, tmp_path, three, digits_folder):
    odd = tmp_path / "träume \u2028 schäume.png"
    odd.write_bytes((digits_folder / "3" / "0.png").read_bytes())
    answer = ask(image_list(odd, three[1]))
    assert list(answer.json()["classifications"]) == [str(odd), three[1]]
    assert answer.content == as_usual(answer.json())


def test_the_number_behind_a_name_is_a_label_and_no_part_of_it(ask, tmp_path, three, digits_folder):
    spaced = tmp_path / "a digit 3.png"
    spaced.write_bytes((digits_folder / "3" / "0.png").read_bytes())
    answer = ask(
        image_list(f"{three[0]} 3", f"{spaced}\t12", f"{spaced} -1", f"{three[1]}  100000", f"{three[2]} {'9' * 5000}")
    )
    assert list(answer.json()["classifications"]) == [three[0], str(spaced), *three[1:]]
    assert answer["X-Digits-Skipped"] == "0"


@pytest.mark.parametrize(
    "write",
    [
        lambda names: image_list(*names, end="\r\n"),
        lambda names: image_list("", names[0], "   ", *names[1:], "", ""),
        lambda names: b"\xef\xbb\xbf" + image_list(*names),
        lambda names: image_list(*names)[:-1],
        lambda names: image_list(*names, end="\r"),
        lambda names: image_list(*(f"{n}\t{n}.000000\t{name}" for n, name in enumerate(names))),
    ],
    ids=["crlf", "blank lines", "byte order mark", "no end of line", "cr", "for im2rec"],
)
def test_the_list_may_come_from_any_editor(ask, three, write):
    answer = ask(write(three))
    assert list(answer.json()["classifications"]) == three
    assert answer["X-Digits-Skipped"] == "0"


def test_names_are_looked_for_in_the_folder_and_stay_as_they_are_written(ask, model, digits_folder, three):
    answer = ask(image_list("3/0.png 3", three[1]), image_folder=str(digits_folder)).json()
    assert list(answer["classifications"]) == ["3/0.png", three[1]]
    assert answer["classifications"]["3/0.png"] == expected(model, 2, digits_folder / "3" / "0.png")


def test_what_can_not_be_loaded_is_left_out_and_counted(ask, three, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    broken = [
        tmp_path / "broken.png",
        tmp_path / "missing.png",
        "relative.png",
        "http://example.com/a.png",
        "nul\0.png",
    ]
    answer = ask(image_list(*three[:2], *broken, "/etc/passwd", three[2]))
    assert list(answer.json()["classifications"]) == three
    assert answer["X-Digits-Skipped"] == "6"


def test_when_none_can_be_loaded_the_first_reason_is_told(ask):
    status, why = complaint(ask(image_list("http://example.com/a.png", "relative.png")))
    assert status == 400
    assert why.startswith("None of the 2 images of image_list could be loaded. The first is http://example.com/a.png: ")
    assert "DIGITS_ALLOW_URLS" in why


def test_where_urls_are_allowed_a_list_may_hold_some(ask, model, digits_folder, three, settings):
    settings.DIGITS_ALLOW_URLS = True
    settings.DIGITS_URL_POLICY = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None)
    with web_server((digits_folder / "3" / "0.png").read_bytes()) as server:
        listed = image_list(f"{server.url}/image 3", three[1], "http://10.0.0.1/image", f"{server.url}/missing")
        answer = ask(listed)
    image = expected(model, 2, digits_folder / "3" / "0.png")
    assert list(answer.json()["classifications"]) == [f"{server.url}/image", three[1]]
    assert answer.json()["classifications"][f"{server.url}/image"] == image
    assert answer["X-Digits-Skipped"] == "2"


def test_the_urls_of_a_list_have_a_time_that_ends(settings):
    settings.DIGITS_ALLOW_URLS = True
    with pytest.raises(BadInput, match="the 10 minutes that a list has for its URLs are over"):
        ImageList(io.BytesIO(), urls_until=0).file("http://127.0.0.1/image")
    with pytest.raises(BadInput, match="no host of the public internet"):
        ImageList(io.BytesIO()).file("http://127.0.0.1/image")


def test_a_list_costs_one_query_however_long_it_is(ask, digits_folder, django_assert_num_queries):
    names = [str(path) for path in sorted(digits_folder.glob("*/*.png"))[:100]]
    for listed in (names[:1], names):
        with django_assert_num_queries(1):
            assert len(ask(image_list(*listed)).json()["classifications"]) == len(listed)


def test_num_test_images_cuts_the_list(ask, three):
    assert list(ask(image_list(*three), num_test_images=2).json()["classifications"]) == three[:2]
    assert list(ask(image_list(*three), num_test_images="").json()["classifications"]) == three


@pytest.mark.parametrize("number", [0, -1, 10**30, "all"])
def test_a_number_of_images_that_makes_no_sense_is_named(ask, three, number):
    answer = ask(image_list(*three), num_test_images=number)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "num_test_images")


def test_the_snapshot_is_the_one_of_the_epoch(ask, model, digits_folder, three):
    answer = ask(image_list(three[0]), snapshot_epoch=1).json()
    assert answer["classifications"][three[0]] == expected(model, 1, digits_folder / "3" / "0.png")


def test_the_job_id_may_stand_in_the_query_string(client, model, three):
    answer = client.post(f"{URL}.json?job_id={model.pk}", {"image_list": io.BytesIO(image_list(*three))})
    assert list(answer.json()["classifications"]) == three


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_without_files_holds_the_list_itself(client, model, three, content_type):
    fields = {"job_id": model.pk, "image_list": "\n".join(three)}
    body = json.dumps(fields) if content_type.endswith("json") else "&".join(f"{k}={v}" for k, v in fields.items())
    answer = client.post(f"{URL}.json", body.replace("\n", "%0A"), content_type=content_type)
    assert list(answer.json()["classifications"]) == three


def test_a_browser_gets_a_page_with_the_same_answer(ask, three):
    answer = ask(image_list(three[0], "/nowhere"), url=URL, headers={"Accept": "text/html"})
    assert answer["Content-Type"].startswith("text/html")
    assert answer["X-Digits-Skipped"] == "1"
    assert three[0] in answer.content.decode()


@pytest.mark.parametrize(
    "listed, why",
    [
        (b"", "image_list names no image"),
        (b"\n \n", "image_list names no image"),
        (b"\xff\xfe/\0a\0", "Line 1 of image_list is not UTF-8 text."),
        (b"/a.png\n" + b"x" * 20_000, "Line 2 of image_list is longer than"),
        ("", "image_list is missing"),
    ],
)
def test_what_is_no_list_is_refused(ask, listed, why):
    status, told = complaint(ask(listed))
    assert status == 400
    assert told.startswith(why)


def test_a_folder_outside_the_data_roots_is_refused(ask, tmp_path):
    assert "may read" in complaint(ask(image_list("passwd"), image_folder="/etc"))[1]
    assert "there is no folder" in complaint(ask(image_list("a"), image_folder=str(tmp_path / "missing")))[1]


def test_a_list_and_a_folder_that_are_not_there_are_reported_together(ask, tmp_path):
    why = complaint(ask("", image_folder=str(tmp_path / "missing")))[1]
    assert why.startswith("image_list is missing: ")
    assert why.endswith(f"image_folder: there is no folder {tmp_path / 'missing'}.")


def test_what_is_missing_is_reported_beside_fields_that_are_wrong(ask):
    errors = ask("", image_folder="/etc", num_test_images=0).json()["errors"]
    assert {error["field"] for error in errors} == {"image_list", "image_folder", "num_test_images"}


@pytest.mark.parametrize("job_id", ["20200101-000000-abcd", "a\0b", "\ud800", "../..", {"a": 1}])
def test_an_unknown_job(client, db, job_id):
    answer = client.post(f"{URL}.json", json.dumps({"job_id": job_id}), content_type="application/json")
    assert complaint(answer) == (404, "Job not found")


@pytest.mark.parametrize("body", ["[]", "[1]", '"text"', "null"])
def test_a_body_that_is_no_form(client, db, body):
    assert client.post(f"{URL}.json", body, content_type="application/json").status_code == 400


def test_a_model_without_a_snapshot(ask, model, make_model, three):
    fresh = make_model(model.dataset)
    assert complaint(ask(image_list(*three), job_id=fresh.pk)) == (409, "lenet is Waiting and has no snapshot yet.")


def test_a_network_with_too_few_answers_is_no_classifier(ask, model, three):
    with_categories(model.dataset, [*DIGITS, "ten", "eleven"])
    status, why = complaint(ask(image_list(*three)))
    assert status == 409
    assert why.startswith("lenet answers 10 numbers for an image, and its dataset has 12 categories")


def test_answers_beyond_the_categories_are_left_out(ask, model, three):
    all_ten = ask(image_list(*three)).json()["classifications"]
    with_categories(model.dataset, DIGITS[:7])
    for name, ranking in ask(image_list(*three)).json()["classifications"].items():
        assert len(ranking) == 5
        known = [pair for pair in all_ten[name] if pair[0] in DIGITS[:7]]
        assert known == ranking[: len(known)]


def page(answer):
    """The page's tables, as lists of rows of texts."""
    tables = re.findall(r"<table.*?</table>", answer.content.decode(), re.DOTALL)
    rows = [re.findall(r"<tr>.*?</tr>", table, re.DOTALL) for table in tables]
    cell = re.compile(r"<t[hd].*?>(.*?)</t[hd]>", re.DOTALL)
    return [[[" ".join(text.split()) for text in cell.findall(row)] for row in table] for table in rows]


def test_the_page_compares_with_the_ground_truths(ask, model, digits_folder, tmp_path):
    paths = [digits_folder / digit / f"{i}.png" for digit in "36" for i in range(4)]
    answers = [expected(model, 2, path) for path in paths]
    listed = image_list(*(f"{path} {path.parent.name}" for path in paths), f"{paths[0]} 99", f"{paths[1]} -1", paths[2])
    answer = ask(listed, url=URL, headers={"Accept": "text/html"})
    (heading, *rows), listing = page(answer)[:2]
    taken_for = [answer[0][0] for answer in answers]
    assert heading == ["Category", "Images", "Accuracy", *(f"predicted {c}" for c in sorted({*"36", *taken_for}))]
    right = [truth == best for truth, best in zip("33336666", taken_for, strict=True)]
    assert [row[:3] for row in rows] == [
        ["3", "4", f"{25.0 * sum(right[:4])}%"],
        ["6", "4", f"{25.0 * sum(right[4:])}%"],
    ]
    assert [sum(map(int, row[3:])) for row in rows] == [4, 4]
    of_five = sum(path.parent.name in dict(answer) for path, answer in zip(paths, answers, strict=True))
    told = " ".join(answer.content.decode().split())
    assert f"{12.5 * sum(right)}% of 8 images are classified correctly; {12.5 * of_five}% have" in told
    best, percent = answers[0][0]
    assert listing[1][:2] == [str(paths[0]), f"{best} {percent:.2f}%"]


def test_without_ground_truths_the_page_compares_nothing(ask, three):
    assert "Accuracy" not in ask(image_list(*three), url=URL, headers={"Accept": "text/html"}).content.decode()


def test_a_matrix_too_wide_for_a_page_is_left_out():
    accuracy = ListAccuracy([str(number) for number in range(200)])
    accuracy.add(range(200), np.eye(200)[::-1])
    assert (accuracy.columns, len(accuracy.rows), accuracy.rows[0].counts) == ([], 200, [])
    assert (accuracy.images, accuracy.accuracy) == (200, 0)


def test_a_picture_larger_than_the_dataset_is_shrunk(ask, model, tmp_path):
    Image.radial_gradient("L").resize((90, 60)).convert("RGB").save(tmp_path / "photo.jpg")
    answer = ask(image_list(tmp_path / "photo.jpg")).json()
    assert answer["classifications"][str(tmp_path / "photo.jpg")] == expected(model, 2, tmp_path / "photo.jpg")


@pytest.mark.parametrize("categories", [12, 1200])
def test_a_list_is_counted_the_same_with_a_whole_matrix_and_without(categories):
    truths, answers = [3, 3, 9, None, 9, 9, categories, -1, 10**30], [3, 4, 9, 3, 9, 4, 1, 1, 1]
    accuracy = ListAccuracy([f"c{number}" for number in range(categories)])
    accuracy.add(truths, np.eye(categories)[answers])
    assert (accuracy.images, accuracy.accuracy, accuracy.columns) == (5, 60.0, ["c3", "c4", "c9"])
    assert accuracy.rows == [Row("c3", 2, 50.0, [1, 1, 0]), Row("c9", 3, 66.67, [0, 1, 2])]


def test_a_list_without_any_category_has_no_rows():
    accuracy = ListAccuracy(["a", "b"])
    accuracy.add([None], np.eye(2)[:1])
    assert (accuracy.images, accuracy.accuracy, accuracy.rows, accuracy.columns) == (0, 0.0, [], [])
