"""The fields of the model forms that start a search."""

import pytest

from models_app.api.search_form import ONE_VALUE
from models_app.models import TrainedModel
from models_app.search.search_job import Search
from tests.support.api_requests import field_errors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"


@pytest.fixture
def post(client, make_dataset):
    """A function that posts a form with these fields."""
    dataset = make_dataset()

    def post(**fields):
        form = {"model_name": "hunt", "dataset": dataset.pk, "standard_networks": "lenet"}
        return client.post(CREATE, form | fields)

    return post


@pytest.fixture
def space_of(post):
    """A function that posts a form, and returns the values that its search chooses from, as texts."""

    def space_of(**fields):
        search = Search.objects.get(pk=post(**fields).json()["id"])
        return {name: str(dimension) for name, dimension in search.dimensions.items()}

    return space_of


def test_every_numeric_hyperparameter_takes_a_range_or_a_list(space_of):
    sent = {
        "learning_rate": "0.0001..0.1 log",
        "batch_size": "16..128",
        "momentum": "0.5..0.99",
        "weight_decay": "0,0.0005",
        "train_epochs": "2..5",
        "lr_step_gamma": "0.1..0.9",
    }
    assert space_of(**sent) == sent


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("learning_rate", "0..0.1", "0..0.1: This must be above 0."),
        (
            "learning_rate",
            "0.1..0.01",
            "The range 0.1..0.01 must begin with its lowest value, and end with a higher one.",
        ),
        ("batch_size", "0..64", "0..64: Ensure this value is greater than or equal to 1."),
        ("batch_size", "1.5..64", "1.5..64: A valid integer is required."),
        ("momentum", "0.5..1", "0.5..1: Ensure this value is less than 1."),
        ("momentum", "0.5,x", "0.5,x: A valid number is required."),
        ("lr_poly_power", "1..3", "This belongs to lr_policy=poly, but lr_policy is step."),
        ("random_seed", "1..3", ONE_VALUE),
        ("input_size", "28..64", ONE_VALUE),
        (
            "search_trials",
            "5",
            "There is nothing to search: give a hyperparameter a range, such as learning_rate=0.0001..0.1 log.",
        ),
        ("search_trials", "0", "Ensure this value is greater than or equal to 1."),
    ],
)
def test_a_wrong_search_is_refused_by_the_name_of_the_field(post, field, value, message):
    assert field_errors(post(**{field: value})) == {field: message}
    assert not Search.objects.exists()


@pytest.mark.parametrize("field, value", [("learning_rate", "0.1..0.01"), ("crop_size", "8..16")])
def test_a_search_with_a_wrong_range_is_refused_for_the_range_only(post, field, value):
    assert list(field_errors(post(search_trials=5, **{field: value}))) == [field]


def test_errors_of_ranges_are_reported_with_the_errors_of_other_fields(post):
    wrong = field_errors(post(momentum="0.9..0.1", train_epochs="x", learning_rate="0.1..1"))
    assert sorted(wrong) == ["momentum", "train_epochs"]


def test_both_ends_of_a_range_are_checked_with_the_other_fields(post):
    wrong = field_errors(post(lr_policy="exp", lr_exp_gamma="0.5..10", learning_rate=0.1))
    assert "raises the learning rate beyond" in wrong["lr_exp_gamma"]


def test_lists_of_learning_rates_and_batch_sizes_stay_a_grid_of_models(post):
    assert len(post(learning_rate="0.1,0.01", batch_size="16,32").json()["jobs"]) == 4
    assert (TrainedModel.objects.count(), Search.objects.count()) == (4, 0)


def test_lists_are_searched_with_search_trials_or_beside_a_range(space_of):
    lists = {"learning_rate": "0.1,0.01", "batch_size": "16,32"}
    assert space_of(search_trials=3, **lists) == lists
    assert space_of(momentum="0.5..0.9", **lists) == {**lists, "momentum": "0.5..0.9"}


def test_a_json_body_takes_ranges_and_lists(client, make_dataset):
    form = {"model_name": "hunt", "dataset": make_dataset().pk, "standard_networks": "lenet"}
    sent = {"learning_rate": "0.001..0.1 log", "momentum": [0.5, 0.9], "search_minutes": 1.5}
    client.post(CREATE, form | sent, content_type="application/json")
    search = Search.objects.get()
    assert (search.search_trials, search.search_minutes) == (None, 1.5)
    assert [str(dimension) for dimension in search.dimensions.values()] == ["0.5,0.9", "0.001..0.1 log"]


def test_the_schema_says_that_a_number_can_be_a_range(client):
    forms = client.get("/api/schema?format=json").json()["components"]["schemas"]
    momentum = forms["ClassificationModelForm"]["properties"]["momentum"]
    assert [one["type"] for one in momentum["oneOf"]] == ["number", "string"]


def test_a_search_needs_validations(post, make_built):
    assert "val_interval" in field_errors(post(momentum="0.5..0.9", val_interval=0))
    wrong = field_errors(post(momentum="0.5..0.9", dataset=make_built(folder_pct_val=0).pk))
    assert wrong == {"dataset": "A search compares validations, but it has no images for validation."}
