"""classify_many: lists of images, the response for them, and the errors of lists and fields."""

import io
import json

import pytest
from PIL import Image
from rest_framework.views import APIView

from digits_project.common.errors import BadInput
from digits_project.common.fetch import FetchPolicy
from inference.image_list import ImageList
from tests.support.applications.web_samples import web_server
from tests.support.samples.row_samples import DIGITS, image_list, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]
URL = "/models/images/classification/classify_many"
render_json = APIView.renderer_classes[0]().render


def error_of(response):
    return response.status_code, response.json()["error"]["description"]


@pytest.mark.parametrize("wire_format", ["documented", "digits"])
def test_the_response_has_the_five_best_categories_of_every_image(
    classify_many, ranking, digits_folder, three_images, settings, wire_format
):
    settings.DIGITS_WIRE_FORMAT = wire_format
    response = classify_many(image_list(*three_images))
    wanted = {path: ranking(digits_folder / path) for path in three_images}
    assert response.json() == {"classifications": wanted}
    assert list(response.json()["classifications"]) == three_images
    assert (response.status_code, response["X-Digits-Skipped"]) == (200, "0")


def test_the_response_has_the_bytes_of_the_json_renderer(classify_many, three_images):
    response = classify_many(image_list(*three_images, "/nowhere"))
    assert response["Content-Type"] == "application/json; charset=utf-8"
    assert response.content == render_json(response.json())


def test_names_in_a_list_can_have_non_ascii_letters(classify_many, tmp_path, three_images, digits_folder):
    odd = tmp_path / "träume \u2028 schäume.png"
    odd.write_bytes((digits_folder / "3" / "0.png").read_bytes())
    response = classify_many(image_list(odd, three_images[1]))
    assert list(response.json()["classifications"]) == [str(odd), three_images[1]]
    assert response.content == render_json(response.json())


def test_a_number_after_a_name_is_a_label_and_not_part_of_the_name(
    classify_many, tmp_path, three_images, digits_folder
):
    spaced = tmp_path / "a digit 3.png"
    spaced.write_bytes((digits_folder / "3" / "0.png").read_bytes())
    response = classify_many(
        image_list(
            f"{three_images[0]} 3",
            f"{spaced}\t12",
            f"{spaced} -1",
            f"{three_images[1]}  100000",
            f"{three_images[2]} {'9' * 5000}",
        )
    )
    assert list(response.json()["classifications"]) == [three_images[0], str(spaced), *three_images[1:]]
    assert response["X-Digits-Skipped"] == "0"


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
def test_a_list_can_come_from_any_editor(classify_many, three_images, write):
    response = classify_many(write(three_images))
    assert list(response.json()["classifications"]) == three_images
    assert response["X-Digits-Skipped"] == "0"


def test_relative_names_are_found_in_image_folder_and_returned_as_written(
    classify_many, ranking, digits_folder, three_images
):
    response = classify_many(image_list("3/0.png 3", three_images[1]), image_folder=str(digits_folder)).json()
    assert list(response["classifications"]) == ["3/0.png", three_images[1]]
    assert response["classifications"]["3/0.png"] == ranking(digits_folder / "3" / "0.png")


def test_images_that_cannot_be_loaded_are_left_out_and_counted(classify_many, three_images, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    broken = [
        tmp_path / "broken.png",
        tmp_path / "missing.png",
        "relative.png",
        "http://example.com/a.png",
        "nul\0.png",
    ]
    response = classify_many(image_list(*three_images[:2], *broken, "/etc/passwd", three_images[2]))
    assert list(response.json()["classifications"]) == three_images
    assert response["X-Digits-Skipped"] == "6"


def test_a_list_without_a_loadable_image_is_refused_with_the_first_reason(classify_many):
    status, message = error_of(classify_many(image_list("http://example.com/a.png", "relative.png")))
    assert status == 400
    assert message.startswith(
        "None of the 2 images of image_list could be loaded. The first is http://example.com/a.png: "
    )
    assert "DIGITS_ALLOW_URLS" in message


def test_a_list_can_hold_urls_if_the_server_allows_them(classify_many, ranking, digits_folder, three_images, settings):
    settings.DIGITS_ALLOW_URLS = True
    settings.DIGITS_URL_POLICY = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None)
    with web_server((digits_folder / "3" / "0.png").read_bytes()) as server:
        listed = image_list(f"{server.url}/image 3", three_images[1], "http://10.0.0.1/image", f"{server.url}/missing")
        response = classify_many(listed)
    image = ranking(digits_folder / "3" / "0.png")
    assert list(response.json()["classifications"]) == [f"{server.url}/image", three_images[1]]
    assert response.json()["classifications"][f"{server.url}/image"] == image
    assert response["X-Digits-Skipped"] == "2"


def test_the_urls_of_a_list_share_a_time_limit(settings):
    settings.DIGITS_ALLOW_URLS = True
    with pytest.raises(BadInput, match="the 10 minutes for fetching the URLs of a list are over"):
        ImageList(io.BytesIO(), urls_until=0).file("http://127.0.0.1/image")
    with pytest.raises(BadInput, match="No public internet address"):
        ImageList(io.BytesIO()).file("http://127.0.0.1/image")


def test_a_list_of_any_length_costs_one_query(classify_many, digits_folder, django_assert_num_queries):
    names = [str(path) for path in sorted(digits_folder.glob("*/*.png"))[:100]]
    for listed in (names[:1], names):
        with django_assert_num_queries(1):
            assert len(classify_many(image_list(*listed)).json()["classifications"]) == len(listed)


def test_num_test_images_limits_the_length_of_the_list(classify_many, three_images):
    assert (
        list(classify_many(image_list(*three_images), num_test_images=2).json()["classifications"]) == three_images[:2]
    )
    assert list(classify_many(image_list(*three_images), num_test_images="").json()["classifications"]) == three_images


@pytest.mark.parametrize("number", [0, -1, 10**30, "all"])
def test_an_invalid_num_test_images_is_refused_with_its_field(classify_many, three_images, number):
    response = classify_many(image_list(*three_images), num_test_images=number)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "num_test_images")


def test_snapshot_epoch_chooses_the_snapshot_for_a_list(classify_many, ranking, digits_folder, three_images):
    response = classify_many(image_list(three_images[0]), snapshot_epoch=1).json()
    assert response["classifications"][three_images[0]] == ranking(digits_folder / "3" / "0.png", epoch=1)


def test_the_job_id_for_a_list_can_be_in_the_query_string(client, model, three_images):
    response = client.post(f"{URL}.json?job_id={model.pk}", {"image_list": io.BytesIO(image_list(*three_images))})
    assert list(response.json()["classifications"]) == three_images


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_image_list_can_be_a_text_field_instead_of_a_file(client, model, three_images, content_type):
    fields = {"job_id": model.pk, "image_list": "\n".join(three_images)}
    body = json.dumps(fields) if content_type.endswith("json") else "&".join(f"{k}={v}" for k, v in fields.items())
    response = client.post(f"{URL}.json", body.replace("\n", "%0A"), content_type=content_type)
    assert list(response.json()["classifications"]) == three_images


@pytest.mark.parametrize(
    "listed, message",
    [
        (b"", "image_list names no image"),
        (b"\n \n", "image_list names no image"),
        (b"\xff\xfe/\0a\0", "Line 1 of image_list is not UTF-8 text."),
        (b"/a.png\n" + b"x" * 20_000, "Line 2 of image_list is longer than"),
        ("", "image_list is missing"),
    ],
)
def test_an_invalid_image_list_is_refused_with_the_reason(classify_many, listed, message):
    status, found = error_of(classify_many(listed))
    assert status == 400
    assert found.startswith(message)


def test_an_image_folder_outside_of_the_data_roots_is_refused(classify_many, tmp_path):
    assert "may read" in error_of(classify_many(image_list("passwd"), image_folder="/etc"))[1]
    assert "there is no folder" in error_of(classify_many(image_list("a"), image_folder=str(tmp_path / "missing")))[1]


def test_a_missing_list_and_a_missing_folder_are_reported_together(classify_many, tmp_path):
    message = error_of(classify_many("", image_folder=str(tmp_path / "missing")))[1]
    assert message.startswith("image_list is missing: ")
    assert message.endswith(f"image_folder: there is no folder {tmp_path / 'missing'}.")


def test_a_missing_list_is_reported_together_with_invalid_fields(classify_many):
    errors = classify_many("", image_folder="/etc", num_test_images=0).json()["errors"]
    assert {error["field"] for error in errors} == {"image_list", "image_folder", "num_test_images"}


@pytest.mark.parametrize("job_id", ["20200101-000000-abcd", "a\0b", "\ud800", "../..", {"a": 1}])
def test_a_list_for_an_unknown_job_is_refused_with_404(client, db, job_id):
    response = client.post(f"{URL}.json", json.dumps({"job_id": job_id}), content_type="application/json")
    assert error_of(response) == (404, "Job not found")


@pytest.mark.parametrize("body", ["[]", "[1]", '"text"', "null"])
def test_a_json_body_that_is_no_object_is_refused(client, db, body):
    assert client.post(f"{URL}.json", body, content_type="application/json").status_code == 400


def test_a_model_without_a_snapshot_classifies_no_list(classify_many, model, make_model, three_images):
    fresh = make_model(model.dataset)
    assert error_of(classify_many(image_list(*three_images), job_id=fresh.pk)) == (
        409,
        "lenet is Waiting and has no snapshot yet.",
    )


def test_a_network_with_fewer_outputs_than_categories_is_refused(classify_many, model, three_images):
    with_categories(model.dataset, [*DIGITS, "ten", "eleven"])
    status, message = error_of(classify_many(image_list(*three_images)))
    assert status == 409
    assert message.startswith("lenet outputs 10 numbers for an image, but its dataset has 12 categories")


def test_outputs_beyond_the_number_of_categories_are_left_out(classify_many, model, three_images):
    all_ten = classify_many(image_list(*three_images)).json()["classifications"]
    with_categories(model.dataset, DIGITS[:7])
    for name, ranking in classify_many(image_list(*three_images)).json()["classifications"].items():
        assert len(ranking) == 5
        known = [pair for pair in all_ten[name] if pair[0] in DIGITS[:7]]
        assert known == ranking[: len(known)]


def test_an_image_of_another_size_in_a_list_is_resized(classify_many, ranking, tmp_path):
    Image.radial_gradient("L").resize((90, 60)).convert("RGB").save(tmp_path / "photo.jpg")
    response = classify_many(image_list(tmp_path / "photo.jpg")).json()
    assert response["classifications"][str(tmp_path / "photo.jpg")] == ranking(tmp_path / "photo.jpg")
