"""Searches as JSON, on pages and in the admin, and who can do what with them."""

import re

import pytest

from digits_project.jobs.models import Status
from models_app.search.search_job import Search
from tests.support.api_requests import make_account, token_header

pytestmark = pytest.mark.django_db


@pytest.fixture
def ended(post_search, devices, advance, end_trial, trial_of):
    """A Done search of three trials, of which the second is the best and the third was stopped."""
    devices(3)
    search = advance(post_search(search_trials=3))
    end_trial(trial_of(search, 1), 0.5, 0.6)
    end_trial(trial_of(search, 2), 0.9, 0.8)
    end_trial(trial_of(search, 3), status=Status.ABORTED, pruned_epoch=1)
    return advance(search)


def test_the_json_of_a_search_ranks_its_trials_and_names_the_best(client, ended, trial_of):
    answer = client.get(f"/searches/{ended.pk}.json").json()
    best = trial_of(ended, 2)
    assert (answer["status"], answer["search_best"]) == ("Done", best.pk)
    assert answer["space"] == {"learning_rate": "0.0001..0.1 log"}
    assert [(row["rank"], row["trial"]) for row in answer["leaderboard"]] == [(1, 2), (2, 1), (None, 3)]
    assert answer["leaderboard"][0] == {
        "rank": 1,
        "trial": 2,
        "model_id": best.pk,
        "name": "hunt #2",
        "status": "Done",
        "progress": 1.0,
        "parameters": {"learning_rate": best.learning_rate},
        "epoch": 1,
        "accuracy": 0.9,
        "loss": pytest.approx(0.1),
    }
    assert answer["leaderboard"][2]["pruned_epoch"] == 1


def test_a_trial_names_its_search_and_other_models_have_no_such_keys(client, ended, trial_of, make_model):
    trial = client.get(f"/models/{trial_of(ended, 2).pk}.json").json()
    assert (trial["search_id"], trial["trial"]) == (ended.pk, 2)
    other = client.get(f"/models/{make_model(ended.dataset).pk}.json").json()
    assert not {"search_id", "trial", "pruned_epoch"} & set(other)


def test_the_index_and_the_list_of_searches(client, ended):
    assert sorted(client.get("/index.json").json()) == ["datasets", "models"]
    listed = {"id": ended.pk, "name": "hunt", "status": "Done", "dataset_id": ended.dataset_id}
    assert client.get("/searches.json").json() == {"searches": [listed]}


def test_the_page_of_a_search_leads_to_the_best_model(client, ended, trial_of):
    page = client.get(f"/searches/{ended.pk}", headers={"Accept": "text/html"}).content.decode()
    best = trial_of(ended, 2)
    assert f'<a href="/datasets/{ended.dataset_id}">{ended.dataset.name}</a>' in page
    assert f'href="/models/{best.pk}">Best model</a>' in page
    assert page.index("hunt #2") < page.index("hunt #1") < page.index("hunt #3")


def test_the_admin_shows_the_leaderboard(admin_client, ended, trial_of):
    page = admin_client.get(f"/admin/models_app/search/{ended.pk}/change/").content.decode()
    assert page.index("hunt #2") < page.index("hunt #1")
    assert f'href="/admin/models_app/trainedmodel/{trial_of(ended, 2).pk}/change/">Best model</a>' in page
    best = [trial_of(ended, number).pk for number in (2, 1)]
    compared = f"/admin/models_app/trainedmodel/compare/?ids={','.join(best)}"
    assert f'href="{compared}">Compare the best</a>' in page
    assert "Learning rate" in admin_client.get(compared).content.decode()
    assert "hunt" in admin_client.get("/admin/models_app/search/").content.decode()


def test_the_admins_form_for_models_leads_to_the_new_search(admin_client, built_dataset):
    form = {"model_name": "hunt", "dataset": built_dataset.pk, "method": "standard", "standard_networks": "lenet"}
    posted = admin_client.post("/admin/models_app/trainedmodel/add/", form | {"momentum": "0.5..0.9"})
    assert posted.url == f"/admin/models_app/search/{Search.objects.get().pk}/change/"


def test_only_the_owner_of_a_search_and_operators_can_abort_it(client, post_search, settings):
    search = post_search(username="ada")
    settings.DIGITS_AUTH = "required"
    url = f"/searches/{search.pk}/abort.json"
    assert client.post(url, headers=token_header(make_account("eve", "user"))).status_code == 403
    assert client.post(url, headers=token_header(make_account("op", "operator"))).status_code == 200
    search.refresh_from_db()
    assert search.status == Status.ABORTED


def test_a_private_server_hides_searches_of_others(client, post_search, settings):
    search = post_search(username="ada")
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    eve = token_header(make_account("eve", "user"))
    assert client.get(f"/searches/{search.pk}.json", headers=eve).status_code == 404
    assert client.get("/searches.json", headers=eve).json() == {"searches": []}


def test_the_page_of_the_form_takes_a_range_in_each_field_of_numbers(client, open_server):
    page = client.get("/models/images/classification", headers={"Accept": "text/html"}).content.decode()
    momentum = next(line for line in re.findall("<input[^>]*>", page) if 'name="momentum"' in line)
    assert 'type="text"' in momentum


def test_a_wide_leaderboard_scrolls_within_the_page(client, ended):
    page = client.get(f"/searches/{ended.pk}", headers={"Accept": "text/html"}).content.decode()
    assert re.search(r'<div class="scrolled"[^>]*>\s*<table class="table" id="leaderboard">', page)
