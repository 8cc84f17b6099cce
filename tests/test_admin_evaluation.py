"""What the admin shows of evaluations, and how one is asked for there."""

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


def evaluation(model, epoch=1, **fields):
    figures = {"images": 5, "accuracy": 0.6, "top_5_accuracy": 1, "loss": 0.5, "calibration_error": 0.1}
    categories = [
        {"category": name, "precision": 0.75, "recall": 0.25, "f1": 0.375, "support": 3} for name in (HOSTILE, "one")
    ]
    worst = [{"record": 2, "path": HOSTILE, "category": "one", "answer": HOSTILE, "confidence": 97.5}]
    detail = {"categories": categories, "confusion_matrix": [[2, 1], [1, 1]], "worst_errors": worst}
    identity = {"job_id": f"20260101-000000-000{epoch}", "name": HOSTILE, "trained_model": model, "epoch": epoch}
    return Evaluation.objects.create(**(identity | {"split": "val", "status": Status.DONE} | figures | detail | fields))


def page_of(client, job):
    name = f"admin:{job._meta.app_label}_{job._meta.model_name}_change"
    return client.get(reverse(name, args=[job.pk])).content.decode()


def test_the_models_page_shows_the_evaluation_of_the_best_snapshot(admin_client, model):
    evaluation(model, epoch=2, accuracy=0.1234)
    evaluation(model, epoch=1)
    page = page_of(admin_client, model)
    assert all(text in page for text in ("60.00 %", "75.00 %", "25.00 %", "37.50 %", "97.5 %"))
    assert "12.34 %" not in page
    assert '<td style="--share:67%" class="d-right">2</td>' in page
    assert reverse("admin:datasets_dataset_image", args=[model.dataset_id, "val", 2]) in page


def test_names_in_an_evaluation_are_text(admin_client, model):
    found = evaluation(model)
    for page in (page_of(admin_client, model), page_of(admin_client, found)):
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_an_evaluation_is_asked_for_on_the_models_page(admin_client, model):
    admin_client.post(reverse("admin:models_app_trainedmodel_evaluate", args=[model.pk]), {"split": "val"})
    made = Evaluation.objects.get()
    assert (made.epoch, made.split, made.status, made.owner) == (1, "val", Status.WAITING, "admin")


@pytest.mark.parametrize(
    "asked", [{"split": "test"}, {"split": "train"}, {"split": "val", "epoch": "7"}, {"split": "val", "epoch": "x"}]
)
def test_what_can_not_be_evaluated_is_said(admin_client, model, asked):
    address = reverse("admin:models_app_trainedmodel_evaluate", args=[model.pk])
    assert 'class="error"' in admin_client.post(address, asked, follow=True).content.decode()
    assert not Evaluation.objects.exists()


def test_the_list_of_evaluations_asks_a_constant_number_of_queries(
    admin_client, model, django_assert_num_queries, django_assert_max_num_queries
):
    evaluation(model)
    with django_assert_max_num_queries(12) as few:
        admin_client.get("/admin/models_app/evaluation/")
    evaluation(model, epoch=2)
    with django_assert_num_queries(len(few)):
        admin_client.get("/admin/models_app/evaluation/")
