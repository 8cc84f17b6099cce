"""The pages of models without a browser's scripts: new model, model, evaluation, comparison."""

from urllib.parse import urlencode

import pytest

from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from models_app import networks, recipes
from models_app.api.serializers import FORMS
from models_app.models import TrainedModel
from models_app.pages.new_model import FOR_SCRIPTS, GROUP_OF, PLACED, group_of
from models_app.results import Evaluation
from models_app.training.hyperparameter_declaration import GROUPS, hyperparameters_of
from models_app.training.hyperparameters import Hyperparameters
from tests.support.admin_pages import add_metric
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}
NEW = "/models/images/classification"


@pytest.fixture
def dataset(make_dataset):
    made = make_dataset(name="Handwritten digits")
    build_dataset(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def browse(client):
    """A function that returns the text of a page."""
    return lambda path: client.get(path, headers=BROWSER).content.decode()


@pytest.fixture
def plan(client, dataset):
    """A function that returns the fragment of a plan for a form with these fields."""

    def plan(**fields):
        sent = {"dataset": dataset.pk, "recipe": "scratch"} | fields
        return client.post("/pages/models/classification/plan", sent, headers=BROWSER).content.decode()

    return plan


# --- new model ----------------------------------------------------------------------------------------------------
def test_every_hyperparameter_declares_its_group():
    assert [one.name for one in hyperparameters_of(Hyperparameters) if one.group not in GROUPS] == []


@pytest.mark.parametrize("kind", FORMS)
def test_every_field_of_the_form_stands_on_the_page_exactly_once(kind, browse):
    fields = FORMS[kind]().fields
    page = browse(f"/models/images/{kind}")
    grouped = {name for name, field in fields.items() if name not in PLACED | FOR_SCRIPTS and group_of(name, field)}
    counts = {name: page.count(f'aria-describedby="id_{name}_error') for name in grouped}
    assert counts == dict.fromkeys(grouped, 1)
    assert GROUP_OF.keys() <= fields.keys()


def test_every_standard_network_says_what_it_is_for():
    assert [name for name, network in networks.STANDARD.items() if not network.summary.endswith(".")] == []


def test_what_recipes_reached_is_what_the_document_says(request):
    text = (request.config.rootpath / "docs/choosing.md").read_text()
    figures = [part + " %" for recipe in recipes.RECIPES.values() for part in figures_of(recipe.measured)]
    assert figures
    assert [figure for figure in figures if figure.removesuffix(" %") not in text] == []


def figures_of(text):
    words = text.split()
    return [words[i - 1] for i, word in enumerate(words) if word.rstrip(";,") == "%"]


def test_the_page_offers_datasets_by_name_and_chooses_the_one_of_its_address(browse, dataset):
    assert f'value="{dataset.pk}" data-name="Handwritten digits" checked' in browse(f"{NEW}?dataset={dataset.pk}")
    found = browse("/pages/models/classification/datasets?q=handwritten")
    assert "Handwritten digits" in found
    assert "Handwritten digits" not in browse("/pages/models/classification/datasets?q=clothing")


def test_a_plan_has_the_time_the_disk_space_and_what_the_recipe_sets(plan):
    text = plan()
    assert "about" in text
    assert "The recipe sets" in text
    assert "<dt>learning_rate</dt><dd>0.01</dd>" in text
    assert not TrainedModel.objects.exists()


def test_a_plan_names_the_field_with_an_error_and_still_draws_the_learning_rate(plan):
    text = plan(train_epochs="-1")
    assert 'data-error-of="train_epochs"' in text
    assert 'data-chart-title="Learning rate"' in text


def test_a_plan_shows_the_images_with_the_augmentation_of_the_form(plan, client):
    text = plan(aug_flip="fliplr")
    address = text.split('src="/datasets/', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    assert "aug_flip=fliplr" in address
    assert client.get(f"/datasets/{address}")["Content-Type"] == "image/png"


def test_a_plan_says_the_same_as_curl_and_as_a_command(plan, dataset):
    text = plan(model_name="it's new", train_epochs="3", aug_flip="none")
    assert f"--form-string dataset={dataset.pk}" in text
    assert "--train-epochs 3" in text
    assert "digits train &#x27;it&#x27;&quot;&#x27;&quot;&#x27;s new&#x27;" in text
    assert "aug_flip" not in text.split("plan-curl", 2)[2]


def test_the_picture_of_the_network_is_a_fragment(client, dataset):
    sent = {"dataset": dataset.pk, "method": "standard", "standard_networks": "lenet"}
    page = client.post("/pages/models/classification/network", sent, headers=BROWSER).content.decode()
    assert 'src="data:image/svg+xml;base64,' in page


def test_a_clone_begins_with_the_settings_of_its_model(browse, dataset, make_model):
    model = make_model(dataset, name="the first", momentum=0.75)
    page = browse(f"{NEW}?clone={model.pk}")
    assert f'value="{dataset.pk}" data-name="Handwritten digits" checked' in page
    assert 'name="standard_networks" value="lenet" checked' in page
    assert 'value="0.75"' in page


def test_several_models_are_followed_on_the_page_that_compares_them(client, dataset):
    sent = {"dataset": dataset.pk, "model_name": "sweep", "standard_networks": "lenet", "learning_rate": "0.1,0.01"}
    response = client.post(NEW, sent, headers=BROWSER)
    assert response["Location"].startswith("/models/compare?ids=")
    page = client.get(response["Location"], headers=BROWSER).content.decode()
    assert "sweep learning_rate:0.1" in page
    assert "sweep learning_rate:0.01" in page


# --- model --------------------------------------------------------------------------------------------------------
@pytest.fixture
def model(dataset, make_model):
    """A running model with two snapshots and an evaluation."""
    model = make_model(dataset, name="LeNet on digits", train_epochs=10, momentum=0.75)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.RUNNING, progress=0.5)
    for iteration in (2, 4):
        add_metric(model, "train", iteration)
        add_metric(model, "val", iteration)
        add_snapshot(model, epoch=iteration, seed=1)
    return model


@pytest.fixture
def evaluation(model):
    row = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    names = model.dataset.category_names
    matrix = [[2 * (i == j) for j in range(len(names))] for i in range(len(names))]
    figures = {"images": 20, "accuracy": 0.5, "top_5_accuracy": 1, "loss": 1, "calibration_error": 0.1}
    return Evaluation.objects.create(
        job_id="20260101-000000-0001",
        trained_model=model,
        epoch=4,
        split="val",
        name="it",
        status=Status.DONE,
        categories=[row | {"category": name} for name in names],
        confusion_matrix=matrix,
        **figures,
    )


def test_the_page_of_a_model_begins_with_the_settings_that_differ(browse, model):
    page = browse(f"/models/{model.pk}")
    differing = page.split("Settings</h2>", 1)[1].split("settings with their default", 1)[0]
    assert "<dt>Momentum</dt><dd><b>0.75</b>" in differing
    assert "Weight decay" not in differing


def test_the_page_of_a_model_marks_its_best_snapshot_and_draws_its_curves_without_scripts(browse, model):
    page = browse(f"/models/{model.pk}")
    assert page.split("best</span>", 1)[0].rsplit("<tr>", 1)[1].count(">4</th>") == 1
    assert [f'data-chart-title="{title}"' in page for title in ("Loss", "Accuracy", "Learning rate")] == [True] * 3
    assert page.count("<polyline") == 5


def test_the_parts_that_follow_a_training_have_its_newest_numbers(browse, client, model):
    add_metric(model, "val", 5)
    assert "50.00 %" in browse(f"/pages/models/{model.pk}/live")
    curves = client.get(f"/pages/models/{model.pk}/curves.json").json()
    assert (curves["best"], curves["ended"], curves["curves"]["val"]["epoch"]) == (4, False, [2, 4, 5])


def test_a_model_without_an_evaluation_offers_one(browse, client, model):
    page = browse(f"/models/{model.pk}/evaluation")
    assert "It has not been evaluated yet" in page
    assert ">Evaluate</button>" in page
    assert client.get(f"/models/{model.pk}/evaluation.json").status_code == 404


def test_an_evaluation_leads_from_each_cell_to_its_images(browse, model, evaluation):
    page = browse(f"/models/{model.pk}/evaluation")
    query = urlencode({"split": "val", "epoch": "4", "true": 3, "predicted": 3})
    assert query.replace("&", "&amp;") in page
    categories = len(model.dataset.category_names)
    cells = [browse(cell_of(model, 3, other)).count("<li>") for other in range(categories)]
    assert sum(cells) == model.dataset.splits[1]["per_category"][3]


def cell_of(model, true, predicted):
    query = urlencode({"split": "val", "epoch": 4, "true": true, "predicted": predicted})
    return f"/models/{model.pk}/evaluation/cell?{query}"


def test_a_cell_of_a_category_that_is_not_there_is_not_found(client, model):
    assert client.get(cell_of(model, 3, 99), headers=BROWSER).status_code == 404


def test_compared_models_have_curves_settings_and_evaluations_side_by_side(browse, model, evaluation, make_model):
    other = make_model(model.dataset, name="the other", momentum=0.5)
    page = browse(f"/models/compare?ids={model.pk},{other.pk},20260101-000000-0000")
    assert "1 of the models is no longer there" in page
    assert '<th scope="row">Momentum</th><td>0.75</td><td>0.5</td>' in page
    assert '<th scope="row">Accuracy</th><td class="number">50.00 %</td><td class="number">–</td>' in page


@pytest.mark.parametrize("path", ["/models/nosuch", "/models/nosuch/evaluation", "/pages/models/nosuch/live"])
def test_a_model_that_is_not_there_has_no_page(client, path):
    response = client.get(path, headers=BROWSER)
    assert response.status_code == 404
    assert "Not found" in response.content.decode()
    assert "job_name" not in response.content.decode()


def test_the_pages_that_ask_a_model_offer_those_with_snapshots(browse, model, make_model):
    make_model(model.dataset, name="without snapshots")
    page = browse(f"/models/images/classification/classify_many?job_id={model.pk}")
    assert f'<option value="{model.pk}" selected>LeNet on digits' in page
    assert "without snapshots" not in page
