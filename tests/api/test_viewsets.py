"""The routes of datasets, models, jobs and inference are actions of viewsets, with DRF's action names."""

import pytest
from django.urls import resolve
from rest_framework.viewsets import ViewSet

from digits_project.common.errors import BadInput
from inference.api.serializers import OneImageForm
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
ID = "20261129-120000-abcd"
ITSELF = {"get": "retrieve", "put": "update", "delete": "destroy"}
CREATE = {"get": "defaults", "post": "create"}
ROUTES = [
    ("/index", {"get": "list"}),
    ("/datasets/images/classification", CREATE),
    ("/datasets/images/generic", CREATE),
    ("/models/images/classification", CREATE),
    ("/models/images/generic", CREATE),
    (f"/models/{ID}/evaluation", {"get": "retrieve", "post": "create"}),
    ("/models/customize", {"get": "defaults", "post": "customize"}),
    ("/models/images/classification/classify_one", {"get": "defaults", "post": "classify_one"}),
    ("/models/images/classification/classify_many", {"get": "defaults", "post": "classify_many"}),
    ("/models/images/classification/top_n", {"get": "defaults", "post": "top_n"}),
    ("/models/images/generic/infer_one", {"get": "defaults", "post": "infer_one"}),
    ("/models/images/generic/infer_many", {"get": "defaults", "post": "infer_many"}),
    *(
        (f"/{kind}/{ID}{action}", actions)
        for kind in ("datasets", "models", "jobs")
        for action, actions in [
            ("", ITSELF),
            ("/status", {"get": "status"}),
            ("/abort", {"post": "abort"}),
            ("/resume", {"post": "resume"}),
        ]
    ),
]


@pytest.mark.parametrize("suffix", ["", ".json"])
@pytest.mark.parametrize("route, actions", ROUTES)
def test_every_route_is_an_action_of_a_viewset(route, actions, suffix):
    view = resolve(f"{route}{suffix}").func
    assert issubclass(view.cls, ViewSet)
    assert {method: action for method, action in view.actions.items() if method != "head"} == actions


def test_options_describes_the_fields_of_a_form(client):
    description = client.options("/models/images/classification/top_n.json").json()
    assert description["name"] == "Surest images of each category"
    assert description["actions"]["POST"]["top_n"]["max_value"] == 1000


def test_forms_that_share_their_fields_share_no_data_and_no_errors():
    wrong, right = (OneImageForm.with_data({"snapshot_epoch": epoch, "image_path": "/x"}) for epoch in ("new", "2"))
    assert wrong.fields is right.fields
    assert [wrong.is_valid(), "snapshot_epoch" in wrong.errors] == [False, True]
    with pytest.raises(BadInput, match="/x"):
        right.is_valid(raise_exception=True)
    assert OneImageForm().fields is not right.fields


@pytest.mark.parametrize("route", [f"/models/{ID}/abort.json", "/index.json"])
def test_options_of_a_route_without_a_form_lists_no_fields(client, route):
    assert list(client.options(route).json()) == ["name", "description", "renders", "parses"]


@pytest.mark.parametrize("method", ["PATCH", "POST", "TRACE"])
def test_a_method_without_an_action_gets_405(client, make_dataset, method):
    response = client.generic(method, f"/datasets/{make_dataset().pk}.json")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, PUT, DELETE, HEAD, OPTIONS")


def test_visualizations_are_on_the_page_but_not_in_the_json(client, make_dataset, make_model, digits_folder):

    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, epoch=1, seed=0)
    form = {"job_id": model.pk, "image_path": str(digits_folder / "3" / "0.png"), "show_visualizations": "1"}
    route = "/models/images/classification/classify_one"
    page = client.post(route, form, headers={"Accept": "text/html"}).content.decode()
    assert "<h2>Layers</h2>" in page
    assert "the image as the network gets it" in page
    assert list(client.post(f"{route}.json", form).json()) == ["predictions"]
