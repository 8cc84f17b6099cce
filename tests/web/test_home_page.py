"""The home page: its lists, what it says to a new user, and actions on several jobs."""

import re
from collections import Counter

import pytest
from django.db import connection

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs import services
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.results import Metric
from tests.support.api_requests import make_account

pytestmark = pytest.mark.django_db
BROWSER = {"Accept": "text/html"}
ACTIONS = "/pages/jobs/action"


@pytest.fixture
def browse(client, open_server):
    """A function that returns the text of a page."""
    return lambda path: client.get(path, headers=BROWSER).content.decode()


@pytest.fixture
def models(make_dataset, make_model):
    """Two models, of which the second is the better one."""
    dataset = make_dataset()
    models = [make_model(dataset, name=name) for name in ("poor", "good")]
    for model, accuracy in zip(models, (0.5, 0.9), strict=True):
        Metric.objects.create(trained_model=model, split="val", epoch=1, loss=1, learning_rate=0.1, accuracy=accuracy)
    return models


def names_on(page):
    """The names of the listed jobs, in order."""
    return re.findall(r'<th scope="row" class="name"[^>]*><a [^>]*>([^<]*)</a>', page)


def test_an_empty_server_shows_three_steps(browse):
    page = browse("/")
    assert page.count("<h4>") == 3
    assert "From photos to a classifier" in page


@pytest.mark.parametrize(
    "query, expected",
    [
        ("sort=-accuracy", ["good", "poor"]),
        ("sort=accuracy", ["poor", "good"]),
        ("sort=name", ["good", "poor"]),
        ("q=poor", ["poor"]),
        ("q=waiting+go", ["good"]),
        ("q=elsewhere", []),
        ("sort=nonsense&page=x&page_size=0", ["good"]),
    ],
)
def test_the_list_of_models_is_sorted_and_filtered(browse, models, query, expected):
    assert names_on(browse(f"/?tab=models&{query}")) == expected
    assert names_on(browse(f"/pages/jobs?tab=models&{query}")) == expected


def test_the_list_of_models_shows_accuracy_and_dataset(browse, models):
    page = browse("/?tab=models&q=good")
    assert "90.00 %" in page
    assert f'<a href="/datasets/{models[0].dataset_id}">digits</a>' in page


def test_a_running_training_is_shown_with_its_losses(browse, models):
    TrainedModel.objects.filter(pk=models[0].pk).update(status=Status.RUNNING, progress=0.25)
    for epoch in (1, 2, 3):
        Metric.objects.create(trained_model=models[0], split="train", epoch=epoch / 4, loss=epoch, learning_rate=0.1)
    page = browse("/pages/now")
    assert "25 %" in page
    assert 'aria-label="Loss so far"' in page


def test_the_home_page_needs_the_same_number_of_queries_for_many_jobs(
    browse, models, make_model, django_assert_max_num_queries
):
    for number in range(12):
        make_model(models[0].dataset, name=f"model {number}")
    browse("/")
    with django_assert_max_num_queries(40) as few:
        browse("/?tab=models&page_size=2")
    with django_assert_max_num_queries(len(few)):
        browse("/?tab=models&page_size=50")


def copy_often(job, number):
    """Add copies of a row, by SQL, which takes a second for ten thousand."""
    table = type(job)._meta.db_table
    changed = "jsonb_build_object('job_id', '20260101-' || lpad(n::text, 6, '0') || '-0000')"
    copies = f"generate_series(1, %s) n, LATERAL jsonb_populate_record(one, {changed}) copied"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} SELECT copied.* FROM {table} one, {copies} WHERE one.job_id = %s", [number, job.pk]
        )


@pytest.mark.parametrize("sort", ["", "accuracy", "-created_at"])
def test_the_pages_of_a_list_name_each_of_many_jobs_of_one_moment_once(browse, models, sort):
    copy_often(models[0], 1_000)
    named = []
    for number in range(1, 12):
        page = browse(f"/pages/jobs?tab=models&page_size=100&page={number}&sort={sort}")
        named += re.findall(r'<a href="/models/([^"]*)"', page)
    assert sorted(named) == sorted(TrainedModel.objects.values_list("pk", flat=True))


def read_for(request):
    """{"queries": how many, "rows": how many the database returned} for a request."""
    counted = Counter()

    def count(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        counted.update(queries=1, rows=max(context["cursor"].rowcount, 0))
        return result

    with connection.execute_wrapper(count):
        request()
    return counted


def test_the_home_page_reads_as_much_of_ten_thousand_jobs_as_of_two_hundred(browse, models):
    counts, sizes = [], []
    for number in (100, 5_000):
        for job in (models[0].dataset, models[0]):
            type(job).objects.filter(pk__startswith="20260101").delete()
            copy_often(job, number)
        browse("/")
        counts.append(read_for(lambda: sizes.append(len(browse("/")))))
    assert TrainedModel.objects.count() + Dataset.objects.count() > 10_000
    assert counts[0] == counts[1]
    assert sizes[1] < sizes[0] * 1.01
    assert "10,003 jobs waiting" in browse("/")


def test_the_chosen_jobs_are_aborted(client, open_server, models):
    response = client.post(ACTIONS, {"ids": [model.pk for model in models], "action": "abort", "next": "/?tab=models"})
    assert (response.status_code, response["Location"]) == (302, "/?tab=models")
    assert set(TrainedModel.objects.values_list("status", flat=True)) == {Status.ABORTED}


def test_an_action_on_several_jobs_says_which_it_could_not_do(client, open_server, models):
    TrainedModel.objects.filter(pk=models[0].pk).update(status=Status.DONE)
    response = client.post(ACTIONS, {"ids": [model.pk for model in models], "action": "abort"}, headers=BROWSER)
    page = response.content.decode()
    assert response.status_code == 409
    assert "1 of 2 were aborted.\npoor: poor has ended (Done)" in page
    models[1].refresh_from_db()
    assert models[1].status == Status.ABORTED


def test_running_jobs_are_asked_to_stop_together_before_they_are_deleted(client, open_server, models, monkeypatch):
    monkeypatch.setattr(services, "ABORT_SECONDS", 1)  # no process sees the requests
    TrainedModel.objects.update(status=Status.RUNNING)
    form = {"ids": [model.pk for model in models], "action": "delete", "confirmed": "yes"}
    page = client.post(ACTIONS, form, headers=BROWSER).content.decode()
    assert "0 of 2 were deleted.\npoor: poor does not stop; try again when it is Aborted." in page
    first, second = TrainedModel.objects.order_by("abort_requested_at").values_list("abort_requested_at", flat=True)
    assert (second - first).total_seconds() < 1  # one after another they would be further apart


def test_an_action_on_a_job_that_is_gone_changes_the_others(client, open_server, models):
    form = {"ids": [models[0].pk, "20260101-000000-0000"], "action": "abort"}
    response = client.post(ACTIONS, form, headers=BROWSER)
    assert response.status_code == 409
    assert "1 of 2 were aborted.\n1 is no longer there." in response.content.decode()


def test_deleting_asks_before_without_scripts(client, open_server, models):
    form = {"ids": models[0].pk, "action": "delete"}
    assert "Delete 1 job?" in client.post(ACTIONS, form, headers=BROWSER).content.decode()
    assert TrainedModel.objects.filter(pk=models[0].pk).exists()
    assert client.post(ACTIONS, form | {"confirmed": "yes", "next": "//evil.example"})["Location"] == "/"
    assert not TrainedModel.objects.filter(pk=models[0].pk).exists()


def test_the_chosen_jobs_are_put_into_a_group_by_which_the_list_filters(client, browse, models):
    client.post(ACTIONS, {"ids": models[0].pk, "action": "group", "group_name": " cats "})
    models[0].refresh_from_db()
    assert models[0].group_name == "cats"
    assert names_on(browse("/?tab=models&q=cats")) == ["poor"]


def test_a_note_of_a_job_is_stored_by_a_form_without_scripts(client, open_server, models):
    form = {"ids": models[0].pk, "action": "edit", "job_notes": "of the cellar", "next": f"/models/{models[0].pk}"}
    assert client.post(ACTIONS, form)["Location"] == f"/models/{models[0].pk}"
    models[0].refresh_from_db()
    assert models[0].notes == "of the cellar"


@pytest.mark.parametrize("form", [{"action": "abort"}, {"ids": "20260101-000000-0000", "action": "abort"}, {}])
def test_an_action_on_no_job_or_a_missing_one_is_refused(client, open_server, form):
    assert client.post(ACTIONS, form, headers=BROWSER).status_code in (400, 404)


def test_an_unknown_action_is_refused(client, open_server, models):
    assert client.post(ACTIONS, {"ids": models[0].pk, "action": "explode"}, headers=BROWSER).status_code == 400


@pytest.fixture
def log_in(client, settings):
    """A function that logs in a new account of a group on a server with accounts."""
    settings.DIGITS_AUTH = "required"
    return lambda name, group: client.force_login(make_account(name, group))


def test_a_viewer_sees_jobs_but_no_actions(client, log_in, models):
    log_in("vera", "viewer")
    page = client.get(f"/models/{models[0].pk}", headers=BROWSER).content.decode()
    assert ">poor" in page
    assert ACTIONS not in page
    assert client.post(ACTIONS, {"ids": models[0].pk, "action": "abort"}).status_code == 403


def test_jobs_of_others_stay_as_they_are(client, log_in, models):
    log_in("ugo", "user")
    assert ACTIONS not in client.get(f"/models/{models[0].pk}", headers=BROWSER).content.decode()
    form = {"ids": models[0].pk, "action": "delete", "confirmed": "yes"}
    assert client.post(ACTIONS, form, headers=BROWSER).status_code == 403
    assert TrainedModel.objects.filter(pk=models[0].pk).exists()


def test_the_queue_shows_the_place_of_ones_own_job_behind_many_others(client, log_in, make_dataset):
    for _ in range(7):
        make_dataset()
    mine = make_dataset(name="mine")
    Dataset.objects.filter(pk=mine.pk).update(owner="ugo", priority=-1)
    log_in("ugo", "user")
    page = client.get("/pages/now", headers=BROWSER).content.decode()
    assert "your first" in page
    assert f'href="/datasets/{mine.pk}"' in page


def test_the_evaluation_of_a_model_without_a_snapshot_says_why_there_is_none(browse, models):
    page = browse(f"/models/{models[0].pk}/evaluation")
    assert "It can't be evaluated now" in page
    assert ">Evaluate</button>" not in page


def test_an_empty_server_builds_a_dataset_of_digits(client, browse):
    assert 'formaction="/pages/datasets/digits"' in browse("/")
    address = client.post("/pages/datasets/digits")["Location"]
    dataset = Dataset.objects.get()
    assert address == f"/datasets/{dataset.pk}"
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.error, len(dataset.categories)) == (Status.DONE, "", 10)
    assert sum(split["entries"] for split in dataset.splits) == 1797
