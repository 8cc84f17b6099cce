"""Recipes on pages: they begin with auto, with the fields empty that a recipe can fill in."""

import re

import pytest

from models_app import recipes
from models_app.models import TrainedModel
from tests.support.samples.row_samples import with_categories

pytestmark = pytest.mark.django_db
ADD = "/admin/models_app/trainedmodel/add/"
PAGES = [ADD, "/models/images/classification"]


@pytest.fixture
def photos(make_dataset):
    """A waiting dataset of 96×96 photos."""
    return with_categories(make_dataset(resize_width=96, resize_height=96, resize_channels=3))


def begun_with(page: str) -> dict[str, str]:
    """{field: the value with which the page begins}"""
    texts = {}
    for tag in re.findall(r"<input [^>]*>", page):
        is_unchosen = 'type="checkbox"' in tag or ('type="radio"' in tag and " checked" not in tag)
        if (name := re.search(r'name="(\w+)"', tag)) and not is_unchosen:
            value = re.search(r'value="([^"]*)"', tag)
            texts[name[1]] = value[1] if value else ""
    selects = re.findall(r'<select [^>]*?name="(\w+)".*?>(.*?)</select>', page, re.DOTALL)
    chosen = {name: re.search(r"<option([^>]*) selected[^>]*>([^<]*)", inside) for name, inside in selects}
    values = {name: option and re.search(r'value="([^"]*)"', option[1]) for name, option in chosen.items()}
    titles = {name: "" if option is None else option[2].strip(" -") for name, option in chosen.items()}
    return texts | titles | {name: value[1] for name, value in values.items() if value}


@pytest.mark.parametrize("address", PAGES)
def test_pages_begin_with_auto_and_leave_empty_what_a_recipe_can_fill_in(admin_client, address):
    values = begun_with(admin_client.get(address, headers={"accept": "text/html"}).content.decode())
    assert values["recipe"] == "auto"
    there = recipes.fillable() & values.keys()
    assert {"method", "train_epochs", "solver_type", "freeze_batch_norm", "use_mean"} <= there
    assert {name: values[name] for name in there} == dict.fromkeys(there, "")


@pytest.mark.parametrize("address", PAGES)
def test_an_untouched_page_is_filled_in_by_the_recipe(admin_client, photos, address):
    form = begun_with(admin_client.get(address, headers={"accept": "text/html"}).content.decode())
    assert admin_client.post(address, form | {"model_name": "net", "dataset": photos.pk}).status_code == 302
    model = TrainedModel.objects.get()
    assert (model.recipe, model.recipe_used, model.train_layers) == ("auto", "features", "head")
    assert "the dataset is not Done" in model.recipe_reason


def test_the_page_of_a_model_shows_its_recipe(admin_client, photos):
    admin_client.post(ADD, {"model_name": "net", "dataset": photos.pk, "recipe": "auto"})
    model = TrainedModel.objects.get()
    page = admin_client.get(f"/admin/models_app/trainedmodel/{model.pk}/change/").content.decode()
    assert "the dataset is not Done" in page
    assert "train_layers=head" in page


def test_a_clone_has_what_the_recipe_filled_in_as_its_own_values(admin_client, photos):
    admin_client.post(ADD, {"model_name": "net", "dataset": photos.pk, "recipe": "finetune", "train_epochs": "4"})
    first = TrainedModel.objects.get()
    form = begun_with(admin_client.get(f"{ADD}?clone={first.pk}").content.decode())
    assert (form["recipe"], form["freeze_batch_norm"], form["train_epochs"]) == ("classic", "yes", "4")
    admin_client.post(ADD, form)
    clone = TrainedModel.objects.exclude(pk=first.pk).get()
    assert clone.hyperparameters == first.hyperparameters
    assert (clone.recipe, clone.filled_in) == ("classic", {})
