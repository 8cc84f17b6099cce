"""The admin's pages of evaluations, and the form that starts one."""

import re

import pytest
from django.urls import reverse

from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.results import Evaluation, Metric, Snapshot

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def model(built_dataset, make_model):
    """A model that is Done, with two snapshots, the first of which is the best."""
    model = make_model(built_dataset, train_epochs=2)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.DONE)
    for epoch, accuracy in ((1, 0.9), (2, 0.8)):
        Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/epoch-{epoch}")
        measured = {"loss": 1, "accuracy": accuracy, "learning_rate": 0.1}
        Metric.objects.create(trained_model=model, split="val", epoch=epoch, **measured)
    return TrainedModel.objects.get(pk=model.pk)


def make_evaluation(model, epoch=1, **fields):
    figures = {"images": 5, "accuracy": 0.6, "top_5_accuracy": 1, "loss": 0.5, "calibration_error": 0.1}
    categories = [
        {"category": name, "precision": 0.75, "recall": 0.25, "f1": 0.375, "support": 3} for name in (HOSTILE, "one")
    ]
    worst = [{"record": 2, "path": HOSTILE, "category": "one", "answer": HOSTILE, "confidence": 97.5}]
    detail = {"categories": categories, "confusion_matrix": [[2, 1], [1, 1]], "worst_errors": worst}
    identity = {"job_id": f"20260101-000000-000{epoch}", "name": HOSTILE, "trained_model": model, "epoch": epoch}
    return Evaluation.objects.create(**(identity | {"split": "val", "status": Status.DONE} | figures | detail | fields))


def page_of(client, job, **query):
    """The text of the admin's page of a model or an evaluation."""
    name = f"admin:{job._meta.app_label}_{job._meta.model_name}_change"
    return client.get(reverse(name, args=[job.pk]), query).content.decode()


def test_the_page_of_a_model_shows_the_evaluation_of_the_best_snapshot(admin_client, model):
    make_evaluation(model, epoch=1)
    make_evaluation(model, epoch=2, accuracy=0.1234)  # newer, but not of the best snapshot
    page = page_of(admin_client, model)
    assert all(text in page for text in ("60.00 %", "75.00 %", "25.00 %", "37.50 %", "97.5 %"))
    assert "12.34 %" not in page
    assert '<td style="--share:67%" class="d-right">2</td>' in page
    assert reverse("admin:datasets_dataset_image", args=[model.dataset_id, "val", 2]) in page


def make_large_evaluation(model, count):
    """An evaluation of `count` categories, whose recall falls from the first to the last."""
    rows = [
        {"category": f"kind-{n}", "precision": 0.5, "recall": 1 - n / count, "f1": 0.5, "support": 10}
        for n in range(count)
    ]
    confused = [{"category": "kind-7", "answer": "kind-9", "images": 6}]
    matrix = [[0] * count for _ in range(count)] if count <= 1000 else None
    return make_evaluation(model, categories=rows, confusion_matrix=matrix, most_confused=confused)


def rows_of(page):
    """(category, recall) of each row in the table of categories."""
    table = page.partition('id="categories"')[2].partition("</table>")[0]
    return re.findall(r"<tr><th>(.*?)</th>(?:<td[^>]*>[^<]*</td>)<td[^>]*>(.*?)</td>", table)


@pytest.mark.parametrize(
    "count, message",
    [(300, "A matrix of 300 categories is too large for a page"), (1200, "No matrix is stored for 1200 categories")],
)
def test_many_categories_are_paged_and_sorted_and_their_matrix_is_not_read(
    admin_client, model, count, message, django_assert_max_num_queries
):
    found = make_large_evaluation(model, count)
    with django_assert_max_num_queries(20) as queries:
        page = page_of(admin_client, found)
    assert not any("confusion_matrix" in query["sql"] for query in queries)
    assert message in page
    assert "<tr><th>kind-7</th><td>kind-9</td>" in page
    assert "60.00 %" in page.partition('id="confused"')[2].partition("</table>")[0]
    assert rows_of(page)[::99] == [("kind-0", "100.00 %"), ("kind-99", f"{100 - 9900 / count:.2f} %")]
    assert f"1 to 100 of {count} categories" in page
    assert [name for name, _ in rows_of(page_of(admin_client, found, by="recall"))][:2] == [
        f"kind-{count - 1}",
        f"kind-{count - 2}",
    ]
    assert rows_of(page_of(admin_client, found, by="-recall", page=2))[0][0] == "kind-100"


@pytest.mark.parametrize("query", [{"by": "x"}, {"by": "-"}, {"page": "x"}, {"page": "-1"}, {"by": "--f1"}])
def test_an_invalid_sort_column_or_page_number_is_ignored(admin_client, model, query):
    shown = [name for name, _ in rows_of(page_of(admin_client, make_large_evaluation(model, 12), **query))]
    assert shown == [f"kind-{n}" for n in range(12)]


def test_names_in_an_evaluation_are_escaped(admin_client, model):
    found = make_evaluation(model)
    for page in (page_of(admin_client, model), page_of(admin_client, found)):
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_the_page_of_a_model_starts_an_evaluation(admin_client, model):
    admin_client.post(reverse("admin:models_app_trainedmodel_evaluate", args=[model.pk]), {"split": "val"})
    made = Evaluation.objects.get()
    assert (made.epoch, made.split, made.status, made.owner) == (1, "val", Status.WAITING, "admin")


@pytest.mark.parametrize(
    "form", [{"split": "test"}, {"split": "train"}, {"split": "val", "epoch": "7"}, {"split": "val", "epoch": "x"}]
)
def test_an_evaluation_that_cannot_start_shows_an_error(admin_client, model, form):
    address = reverse("admin:models_app_trainedmodel_evaluate", args=[model.pk])
    assert 'class="error"' in admin_client.post(address, form, follow=True).content.decode()
    assert not Evaluation.objects.exists()


def test_the_list_of_evaluations_costs_a_constant_number_of_queries(
    admin_client, model, django_assert_num_queries, django_assert_max_num_queries
):
    make_evaluation(model)
    with django_assert_max_num_queries(12) as few:
        admin_client.get("/admin/models_app/evaluation/")
    make_evaluation(model, epoch=2)
    with django_assert_num_queries(len(few)):
        admin_client.get("/admin/models_app/evaluation/")
