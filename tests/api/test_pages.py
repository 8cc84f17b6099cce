"""The pages: the same views as a browser sees them, their forms, and what is wrong in words."""

import re

import pytest
from django.urls import get_resolver

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from tests.api.test_openapi import routes
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = pytest.mark.django_db
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CREATE = "/datasets/images/classification"


@pytest.fixture(autouse=True)
def _open_server(settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def browse(client):
    """GET of a page, as text."""
    return lambda url: client.get(url, headers=BROWSER).content.decode()


@pytest.fixture
def post(client):
    """POST of a page's form: (status code, the page that comes back)."""

    def post(url, **fields):
        answer = client.post(url, fields, headers=BROWSER)
        return answer.status_code, answer.content.decode()

    return post


@pytest.fixture
def model(make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, epoch=1.5, seed=0)
    return model


def pages():
    ours = {route.removesuffix(".json") for route in routes(get_resolver().url_patterns)}
    return sorted(route for route in ours if not re.match(r"/(admin|\^static|api|$)", route))


@pytest.mark.parametrize("route", ["/", *pages()])
def test_every_page_answers_get_and_post_and_none_asks_another_site_for_anything(client, model, route):
    url = route.replace("{job_id}", model.pk).replace("{form}", "zip")
    for method in ("GET", "POST"):
        page = client.generic(method, url, headers=BROWSER)
        assert page.status_code < 500
        assert not re.search(rb"""(src|href|action)=["'](https?:)?//""", page.getvalue())


def test_every_form_has_a_title_of_its_own(client):
    forms = [client.get(url, headers=BROWSER) for url in pages() if "{" not in url]
    titles = [re.search("<h1>(.*?)</h1>", form.content.decode())[1] for form in forms if b"<form" in form.content]
    assert len(titles) > 8
    assert len(set(titles)) == len(titles)
    assert "Classify a list of images" in titles


def test_the_first_page_leads_to_every_job(browse, model):
    page = browse("/")
    for address in (f"/datasets/{model.dataset_id}", f"/models/{model.pk}", CREATE, "/models/images/classification"):
        assert f'href="{address}"' in page
    assert page.count("status-Waiting") == 2


def test_the_first_page_is_one_of_several_when_there_are_many_jobs(browse, make_dataset):
    jobs = [make_dataset().pk for _ in range(3)]
    page = browse("/?page_size=2&page=1")
    assert [job in page for job in jobs] == [False, True, True]
    assert 'href="?page=2"' in page
    assert 'href="?page=1"' not in page
    assert 'href="?page=2"' not in browse("/?page_size=4")


def test_a_refused_form_comes_back_as_it_was_with_what_is_wrong_beside_the_field(post):
    status, page = post(CREATE, dataset_name="my <cats>", folder_train="/nowhere", resize_width="wide")
    assert status == 400
    assert 'value="my &lt;cats&gt;"' in page
    assert 'value="/nowhere"' in page
    assert re.search(r'name="resize_width"[^>]*>\s*<span class="help-block">A valid integer is required', page)
    assert "<b>folder_train</b>: /nowhere is not in a folder" in page
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("wire_format", ["documented", "digits"])
def test_what_is_wrong_is_shown_in_either_wire_format(post, settings, wire_format):
    settings.DIGITS_WIRE_FORMAT = wire_format
    assert "<b>dataset_name</b>: This field is required." in post(CREATE)[1]


def test_a_form_that_is_right_leads_to_its_job(client, digits_folder):
    answer = client.post(CREATE, {"dataset_name": "d", "folder_train": str(digits_folder)}, headers=BROWSER)
    assert (answer.status_code, answer["Location"]) == (302, f"/datasets/{Dataset.objects.get().pk}")


def test_a_box_that_begins_on_can_be_sent_as_off(browse):
    page = browse(CREATE)
    boxes = re.findall(r'<input type="hidden" name="(\w+)" value="false">\s*<input type="checkbox" name="(\w+)"', page)
    assert ("textfile_shuffle", "textfile_shuffle") in boxes


def test_an_address_can_fill_a_form(browse, model):
    page = browse(f"/models/images/classification?dataset={model.dataset_id}")
    assert re.search(rf'name="dataset"[^>]*value="{model.dataset_id}"', page)


def test_an_image_is_classified_on_the_page(client, model, digits_folder):
    with (digits_folder / "3" / "0.png").open("rb") as image:
        sent = {"job_id": model.pk, "image_file": image}
        page = client.post("/models/images/classification/classify_one", sent, headers=BROWSER).content.decode()
    assert page.count('class="badge"') == 5
    assert re.search(rf'name="job_id"[^>]*value="{model.pk}"', page)


def test_a_model_shows_what_was_measured(browse, model):
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        model.metrics.create(split="train", epoch=epoch, loss=loss, learning_rate=0.01)
    page = browse(f"/models/{model.pk}")
    assert re.search(r"<h2>Training</h2>.*<th>loss</th><td>0.5000</td><td>0.2500</td>", page, re.S)
    model.metrics.create(split="val", epoch=1, loss=0.125, learning_rate=0.01)
    assert re.search(r"<h2>Validation</h2>.*<th>loss</th><td>0.1250</td>", browse(f"/models/{model.pk}"), re.S)


def test_a_model_leads_to_what_can_be_asked_of_it(browse, model):
    page = browse(f"/models/{model.pk}")
    for address in (
        f"/models/images/classification/classify_one?job_id={model.pk}",
        f"/models/{model.pk}/download.zip?epoch=1.5",
        f"/datasets/{model.dataset_id}",
    ):
        assert f'href="{address}"' in page


def test_what_can_be_done_with_a_job_depends_on_its_status(browse, make_dataset):
    dataset = make_dataset()
    url = f"/datasets/{dataset.pk}"
    assert "abort.json" in browse(url)
    lifecycle.advance(dataset, Status.ERROR, error="The folder <b> is empty.")
    page = browse(url)
    assert "abort.json" not in page
    assert "resume.json" in page
    assert "The folder &lt;b&gt; is empty." in page


def test_a_jobs_name_and_notes_stand_in_its_form(browse, make_dataset):
    page = browse(f"/datasets/{make_dataset(notes='of the cellar').pk}")
    assert re.search(r'name="job_name"[^>]*value="digits"', page)
    assert re.search(r'name="job_notes"[^>]*value="of the cellar"', page)


def test_a_job_that_is_not_there_is_told_on_a_page(client):
    answer = client.get("/models/20200101-000000-abcd", headers=BROWSER)
    assert (answer.status_code, "Job not found" in answer.content.decode()) == (404, True)


def test_an_address_that_is_none_is_told_on_a_page(client):
    answer = client.get("/<nothing>", headers=BROWSER)
    assert (answer.status_code, b"/&lt;nothing&gt; is not an address" in answer.content) == (404, True)


def test_who_has_to_log_in_is_led_there(client, settings):
    settings.DIGITS_AUTH = "required"
    page = client.get("/", headers=BROWSER)
    assert (page.status_code, b'href="/login">Log in</a>' in page.content) == (401, True)


@pytest.mark.parametrize(
    "content_type, body",
    [
        ("application/json", b"[1]"),
        ("application/json", b'{"dataset_name": [1], "resize_width": {"a": 1}, "has_val_folder": []}'),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("text/plain", b"dataset_name"),
    ],
    ids=["list", "nested", "cut off", "another type"],
)
def test_a_body_that_is_refused_is_refused_on_the_page_too(client, content_type, body):
    for url in (CREATE, "/models/images/classification/classify_one?job_id=none"):
        answer = client.generic("POST", url, body, content_type=content_type, headers=BROWSER)
        assert 400 <= answer.status_code < 500
        assert re.search(rb'id="problem" role="alert"\s*>', answer.content)
