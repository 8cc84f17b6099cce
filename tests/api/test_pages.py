"""The HTML pages of the API's views: links, forms, errors."""

import re

import pytest
from django.urls import get_resolver

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from tests.api.test_openapi import routes
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CREATE = "/datasets/images/classification"


@pytest.fixture
def browse(client):
    """A function that returns the text of a page."""
    return lambda url: client.get(url, headers=BROWSER).content.decode()


@pytest.fixture
def post(client):
    """A function that posts a form and returns the status code and the text of the response."""

    def post(url, **fields):
        response = client.post(url, fields, headers=BROWSER)
        return response.status_code, response.content.decode()

    return post


@pytest.fixture
def model(make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, epoch=1.5, seed=0)
    return model


def pages():
    page_routes = {route.removesuffix(".json") for route in routes(get_resolver().url_patterns)}
    return sorted(route for route in page_routes if not re.match(r"/(admin|\^static|api|$)", route))


@pytest.mark.parametrize("route", ["/", *pages()])
def test_every_page_responds_and_loads_nothing_from_other_sites(client, model, route):
    url = route.replace("{job_id}", model.pk).replace("{form}", "zip")
    for method in ("GET", "POST"):
        page = client.generic(method, url, headers=BROWSER)
        assert page.status_code < 500
        assert not re.search(rb"""(src|href|action)=["'](https?:)?//""", page.getvalue())


def test_every_form_page_has_a_unique_title(client):
    whole = [url for url in pages() if not re.search("{|^/pages/", url)]
    forms = [client.get(url, headers=BROWSER) for url in whole]
    titles = [re.search("<h1>(.*?)</h1>", form.content.decode())[1] for form in forms if b"data-form" in form.content]
    assert len(titles) > 8
    assert len(set(titles)) == len(titles)
    assert "Classify a list of images" in titles


def test_the_home_page_links_to_every_job(browse, model):
    models, datasets = browse("/"), browse("/?tab=datasets")
    for path in (f"/datasets/{model.dataset_id}", f"/models/{model.pk}", CREATE, "/models/images/classification"):
        assert f'href="{path}"' in models
    assert f'href="/datasets/{model.dataset_id}"' in datasets
    assert (models.count("status-Waiting"), datasets.count("status-Waiting")) == (1, 1)


def test_the_home_page_splits_many_jobs_into_pages(browse, make_dataset):
    jobs = [make_dataset().pk for _ in range(3)]
    page = browse("/?page_size=2&page=1")
    assert [f'name="ids" value="{job}"' in page for job in jobs] == [False, True, True]
    assert ">Older</a>" in page
    assert ">Newer</a>" not in page
    assert ">Older</a>" not in browse("/?page_size=4")


def test_an_invalid_form_is_shown_again_with_its_values_and_errors(post):
    status, page = post(CREATE, dataset_name="my <cats>", folder_train="/nowhere", resize_width="wide")
    assert status == 400
    assert 'value="my &lt;cats&gt;"' in page
    assert 'value="/nowhere"' in page
    assert 'id="id_resize_width_error">A valid integer is required' in page
    assert re.search(r'name="resize_width" aria-describedby="id_resize_width_error [^>]* aria-invalid="true"', page)
    assert '<a href="#id_folder_train"><b>Folder train</b></a>: <span>/nowhere is not in a folder' in page
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("wire_format", ["documented", "digits"])
def test_form_errors_are_shown_in_both_wire_formats(post, settings, wire_format):
    settings.DIGITS_WIRE_FORMAT = wire_format
    assert '<a href="#id_dataset_name"><b>Dataset name</b></a>: <span>This field is required.' in post(CREATE)[1]


def test_a_valid_form_redirects_to_the_new_job(client, digits_folder):
    response = client.post(CREATE, {"dataset_name": "d", "folder_train": str(digits_folder)}, headers=BROWSER)
    assert (response.status_code, response["Location"]) == (302, f"/datasets/{Dataset.objects.get().pk}")


def test_a_checkbox_that_is_checked_by_default_can_be_unchecked(browse):
    page = browse(CREATE)
    boxes = re.findall(
        r'<input type="hidden" name="(\w+)" value="false">\s*<input type="checkbox" [^>]*name="(\w+)"', page
    )
    assert ("textfile_shuffle", "textfile_shuffle") in boxes


def test_the_query_string_prefills_a_form(browse, model):
    page = browse(f"/models/images/classification?dataset={model.dataset_id}")
    assert f'value="{model.dataset_id}" data-name="digits" checked' in page


def test_an_image_can_be_classified_on_its_page(client, model, digits_folder):
    with (digits_folder / "3" / "0.png").open("rb") as image:
        form = {"job_id": model.pk, "image_file": image}
        page = client.post("/models/images/classification/classify_one", form, headers=BROWSER).content.decode()
    assert page.count('class="badge"') == 5
    assert f'<option value="{model.pk}" selected>' in page


def test_the_page_of_a_model_shows_its_metrics(browse, model):
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        model.metrics.create(split="train", epoch=epoch, loss=loss, learning_rate=0.01)
    page = browse(f"/models/{model.pk}")
    assert '<tr><th>2</th><td class="number">0.25</td></tr>' in page
    model.metrics.create(split="val", epoch=1, loss=0.125, learning_rate=0.01)
    assert '<tr><th>1</th><td class="number">0.5</td><td class="number">0.125</td></tr>' in browse(
        f"/models/{model.pk}"
    )


def test_the_page_of_a_model_links_to_inference_download_and_dataset(browse, model):
    page = browse(f"/models/{model.pk}")
    for path in (
        f"/models/images/classification/classify_one?job_id={model.pk}",
        f"/models/{model.pk}/download.zip?epoch=1.5",
        f"/datasets/{model.dataset_id}",
    ):
        assert f'href="{path}"' in page


def test_the_page_of_a_job_offers_the_actions_of_its_status(browse, make_dataset):
    dataset = make_dataset()
    url = f"/datasets/{dataset.pk}"
    assert 'value="abort"' in browse(url)
    lifecycle.advance(dataset, Status.ERROR, error="The folder <b> is empty.")
    page = browse(url)
    assert 'value="abort"' not in page
    assert 'value="resume">Try again' in page
    assert "Train a model on it" not in page
    assert "The folder &lt;b&gt; is empty." in page


def test_the_page_of_a_job_has_a_form_with_its_name_and_notes(browse, make_dataset):
    page = browse(f"/datasets/{make_dataset(notes='of the cellar').pk}")
    assert re.search(r'name="job_name"[^>]*value="digits"', page)
    assert re.search(r'name="job_notes"[^>]*value="of the cellar"', page)


def test_a_missing_job_gets_an_error_page(client):
    response = client.get("/models/20200101-000000-abcd", headers=BROWSER)
    page = response.content.decode()
    assert (response.status_code, "Job not found" in page) == (404, True)
    assert "<h1>Not found</h1>" in page
    assert 'name="job_name"' not in page


def test_an_unknown_url_gets_an_error_page(client):
    response = client.get("/<nothing>", headers=BROWSER)
    assert (response.status_code, b"/&lt;nothing&gt; is not an address" in response.content) == (404, True)


def test_the_401_page_links_to_the_login(client, settings):
    settings.DIGITS_AUTH = "required"
    page = client.get("/", headers=BROWSER)
    assert (page.status_code, b'href="/login?next=/">Log in</a>' in page.content) == (401, True)


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
def test_an_invalid_body_gets_an_error_page(client, content_type, body):
    for url in (CREATE, "/models/images/classification/classify_one?job_id=none"):
        response = client.generic("POST", url, body, content_type=content_type, headers=BROWSER)
        assert 400 <= response.status_code < 500
        assert re.search(rb'id="problem" role="alert" tabindex="-1">', response.content)
