"""The admin's pages of models: the list, the page of a model, and their actions."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from digits_project.accounts.models import AuditEntry
from digits_project.jobs.models import Status
from digits_project.jobs.overview import time_left
from models_app.models import TrainedModel
from models_app.pages import comparison, curves
from models_app.results import Metric, Snapshot

pytestmark = pytest.mark.django_db

LIST = "/admin/models_app/trainedmodel/"
HOSTILE = "<script>alert(1)</script>{{ 7|add:7 }}\"'"


def address(name, *args):
    return reverse(f"admin:models_app_trainedmodel_{name}", args=args)


def add_metrics(model, epochs, split="val", **fields):
    rows = [
        Metric(
            trained_model=model,
            split=split,
            epoch=epoch,
            iteration=epoch,
            **({"loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch, "learning_rate": 0.01} | fields),
        )
        for epoch in range(1, epochs + 1)
    ]
    Metric.objects.bulk_create(rows)
    return model


def make_snapshot(model, epoch):
    snapshot = Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/epoch-{epoch:g}")
    snapshot.directory.mkdir(parents=True)
    (snapshot.directory / "model.onnx").write_bytes(bytes(3000))
    return snapshot


@pytest.fixture
def model(built_dataset, make_model):
    """A waiting model of four epochs."""
    return make_model(built_dataset, train_epochs=4)


@pytest.fixture
def done_model(model):
    """The model, Done."""
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.DONE, progress=1)
    model.refresh_from_db()
    return model


def test_the_list_shows_the_accuracy_and_its_curve(admin_client, model):
    add_metrics(model, 4)
    page = admin_client.get(LIST).content.decode()
    assert "87.5%" in page
    assert '<polyline points="0.0,19.0 ' in page


def test_the_list_of_models_costs_a_constant_number_of_queries(
    admin_client, model, make_model, django_assert_num_queries, django_assert_max_num_queries
):
    add_metrics(model, 4)
    with django_assert_max_num_queries(15) as few:
        admin_client.get(LIST)
    for number in range(5):
        add_metrics(make_model(model.dataset, name=f"model {number}"), 3)
    with django_assert_num_queries(len(few)):
        admin_client.get(LIST)


@pytest.mark.parametrize(
    "resumed_from, progress, expected",
    [
        (0, 0.5, "about 1\xa0hour left"),
        (0.5, 0.75, "about 1\xa0hour left"),
        (0.75, 0.8, "about 4\xa0hours left"),
        (0.5, 0.5, ""),
        (0.5, 0, ""),
    ],
)
def test_the_time_left_follows_from_the_progress_since_the_last_resume(model, resumed_from, progress, expected):
    began = timezone.now() - timedelta(hours=1, seconds=5)
    rows = TrainedModel.objects.filter(pk=model.pk)
    rows.update(status=Status.RUNNING, started_at=began, progress=progress, resumed_from=resumed_from)
    assert time_left(rows.get()) == expected


def test_the_curves_hold_every_metric(admin_client, model):
    add_metrics(model, 4)
    add_metrics(model, 7, split="train", accuracy=None)
    response = admin_client.get(address("curves", model.pk)).json()
    assert response["curves"]["val"]["accuracy"] == [0.5, 0.75, 1 - 0.5 / 3, 0.875]
    assert response["curves"]["train"]["epoch"] == [1, 2, 3, 4, 5, 6, 7]
    assert response["curves"]["train"]["learning_rate"] == [0.01] * 7
    assert not response["ended"]


def test_long_curves_are_thinned_and_keep_their_ends(model):
    add_metrics(model, 100)
    epochs = curves.curves(model, most=10)["val"]["epoch"]
    assert epochs == [1, 12, 23, 34, 45, 56, 67, 78, 89, 100]


def test_a_loss_that_is_not_a_number_is_a_gap_in_the_curve(admin_client, model):
    add_metrics(model, 2, loss=float("nan"))
    assert admin_client.get(address("curves", model.pk)).json()["curves"]["val"]["loss"] == [None, None]


def test_the_network_is_drawn_with_its_parameters(admin_client, model):
    response = admin_client.get(address("network", model.pk))
    assert response["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert b"parameters" in response.content


def test_the_page_of_a_model_shows_the_snapshots_with_their_metrics_and_size(admin_client, done_model):
    add_metrics(done_model, 2)
    make_snapshot(done_model, 1)
    make_snapshot(done_model, 2)
    page = admin_client.get(address("change", done_model.pk)).content.decode()
    assert all(
        text in page for text in ("50.00 %", "75.00 %", "2.9\xa0KB", ">best<", f"/models/{done_model.pk}/download.zip")
    )


def test_the_page_of_a_model_shows_the_end_of_its_log(admin_client, done_model):
    (done_model.directory / "train.log").write_text("old\n" * 9000 + "<b>the last word</b>\n")
    page = admin_client.get(address("change", done_model.pk)).content.decode()
    assert "&lt;b&gt;the last word&lt;/b&gt;" in page
    assert page.count("old\n") < 5000


def test_a_snapshot_is_deleted_with_its_folder(admin_client, done_model):
    snapshot = make_snapshot(done_model, 1)
    admin_client.post(address("snapshot_delete", done_model.pk, snapshot.pk))
    assert not done_model.snapshots.exists()
    assert not snapshot.directory.exists()
    assert AuditEntry.objects.filter(actor="admin", action="delete snapshot").exists()


def test_a_snapshot_marked_to_be_kept_is_not_deleted(admin_client, done_model):
    snapshot = make_snapshot(done_model, 1)
    admin_client.post(address("snapshot_keep", done_model.pk, snapshot.pk), {"keep": "yes"})
    page = admin_client.post(address("snapshot_delete", done_model.pk, snapshot.pk), follow=True).content.decode()
    assert "is marked to be kept" in page
    assert snapshot.directory.exists()


def test_a_snapshot_that_a_waiting_model_starts_from_is_not_deleted(admin_client, done_model, make_model):
    snapshot = make_snapshot(done_model, 1)
    make_model(
        done_model.dataset, name="next", method="previous", standard_network="", previous=done_model, previous_epoch=1
    )
    page = admin_client.post(address("snapshot_delete", done_model.pk, snapshot.pk), follow=True).content.decode()
    assert "still needs the snapshot" in page
    assert snapshot.directory.exists()


def test_a_snapshot_is_not_found_at_the_address_of_another_model(admin_client, done_model, make_model):
    snapshot = make_snapshot(make_model(done_model.dataset, name="other"), 1)
    assert admin_client.post(address("snapshot_delete", done_model.pk, snapshot.pk)).status_code == 404
    assert snapshot.directory.exists()


def test_the_metrics_of_several_models_are_exported_by_an_action(admin_client, model, make_model):
    other = add_metrics(make_model(model.dataset, name="other"), 2)
    add_metrics(model, 1)
    chosen = {"action": "export_metrics", "_selected_action": [model.pk, other.pk]}
    text = b"".join(admin_client.post(LIST, chosen).streaming_content).decode()
    assert len(text.splitlines()) == 1 + 3


def test_models_are_compared_by_the_settings_that_differ(admin_client, model, make_model):
    other = make_model(
        model.dataset, name="other", train_epochs=9, lr_policy="exp", lr_parameters={"lr_exp_gamma": 0.5}
    )
    assert comparison.differences([model, other]) == [
        ("train_epochs", ["4", "9"]),
        ("lr_policy", ["step", "exp"]),
        ("lr_exp_gamma", ["–", "0.5"]),
    ]
    chosen = {"action": "compare", "_selected_action": [model.pk, other.pk]}
    page = admin_client.post(LIST, chosen, follow=True).content.decode()
    assert all(address("curves", job.pk) in page for job in (model, other))


def test_every_setting_of_a_model_is_compared():
    about_the_job = {"job_id", "name", "notes", "owner", "group_name", "priority", "created_at", "previous_network"}
    columns = {field.name for field in TrainedModel._meta.fields if field.editable} | {"kind", "previous"}
    assert columns - about_the_job - set(comparison.SETTINGS) == set()


def test_a_single_model_is_not_compared(admin_client, model):
    response = admin_client.post(LIST, {"action": "compare", "_selected_action": [model.pk]}, follow=True)
    assert "Choose from 2 to 10 models" in response.content.decode()


def test_every_page_escapes_the_texts_of_users(admin_client, built_dataset, make_model):
    model = add_metrics(make_model(built_dataset, name=HOSTILE, notes=HOSTILE), 2)
    other = make_model(built_dataset, name=HOSTILE)
    (model.directory / "train.log").write_text(HOSTILE)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.ERROR, error=HOSTILE)
    pages = [LIST, address("change", model.pk), "/admin/", f"{address('compare')}?ids={model.pk},{other.pk}"]
    pages += [address("delete", model.pk)]
    for page in pages:
        content = admin_client.get(page).content.decode()
        assert "<script>alert" not in content
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7|add:7 }}" in content
