"""The admin's pages for models: what a list and a page show, and what can be done there."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from digits_project.accounts.models import AuditEntry
from digits_project.jobs.models import Status
from models_app.admin import charts, comparison
from models_app.admin.model_admin import time_left
from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot

pytestmark = pytest.mark.django_db

LIST = "/admin/models_app/trainedmodel/"
HOSTILE = "<script>alert(1)</script>{{ 7|add:7 }}\"'"


def address(name, *args):
    return reverse(f"admin:models_app_trainedmodel_{name}", args=args)


def measured(model, epochs, split="val", **fields):
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


def snapshot(model, epoch):
    taken = Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/epoch-{epoch:g}")
    taken.directory.mkdir(parents=True)
    (taken.directory / "model.onnx").write_bytes(bytes(3000))
    return taken


@pytest.fixture
def model(built_dataset, make_model):
    return make_model(built_dataset, train_epochs=4)


@pytest.fixture
def ended(model):
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.DONE, progress=1)
    model.refresh_from_db()
    return model


def test_the_list_shows_how_far_the_accuracy_has_come(admin_client, model):
    measured(model, 4)
    page = admin_client.get(LIST).content.decode()
    assert "87.5%" in page
    assert '<polyline points="0.0,19.0 ' in page


def test_the_list_asks_a_constant_number_of_queries(
    admin_client, model, make_model, django_assert_num_queries, django_assert_max_num_queries
):
    measured(model, 4)
    with django_assert_max_num_queries(15) as few:
        admin_client.get(LIST)
    for number in range(5):
        measured(make_model(model.dataset, name=f"model {number}"), 3)
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
def test_the_time_left_follows_from_what_this_run_of_a_training_did(model, resumed_from, progress, expected):
    began = timezone.now() - timedelta(hours=1, seconds=5)
    rows = TrainedModel.objects.filter(pk=model.pk)
    rows.update(status=Status.RUNNING, started_at=began, progress=progress, resumed_from=resumed_from)
    assert time_left(rows.get()) == expected


def test_the_curves_hold_every_point_that_was_measured(admin_client, model):
    measured(model, 4)
    measured(model, 7, split="train", accuracy=None)
    answer = admin_client.get(address("curves", model.pk)).json()
    assert answer["curves"]["val"]["accuracy"] == [0.5, 0.75, 1 - 0.5 / 3, 0.875]
    assert answer["curves"]["train"]["epoch"] == [1, 2, 3, 4, 5, 6, 7]
    assert answer["curves"]["train"]["learning_rate"] == [0.01] * 7
    assert not answer["ended"]


def test_long_curves_are_thinned_and_keep_their_ends(model):
    measured(model, 100)
    epochs = charts.curves(model, most=10)["val"]["epoch"]
    assert epochs == [1, 12, 23, 34, 45, 56, 67, 78, 89, 100]


def test_a_loss_that_is_no_number_is_a_gap(admin_client, model):
    measured(model, 2, loss=float("nan"))
    assert admin_client.get(address("curves", model.pk)).json()["curves"]["val"]["loss"] == [None, None]


def test_the_network_is_drawn_with_its_parameters(admin_client, model):
    answer = admin_client.get(address("network", model.pk))
    assert answer["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert b"parameters" in answer.content


def test_the_page_shows_the_snapshots_with_their_metrics_and_size(admin_client, ended):
    measured(ended, 2)
    snapshot(ended, 1)
    snapshot(ended, 2)
    page = admin_client.get(address("change", ended.pk)).content.decode()
    assert all(
        text in page for text in ("50.00 %", "75.00 %", "2.9\xa0KB", ">best<", f"/models/{ended.pk}/download.zip")
    )


def test_the_page_shows_the_end_of_the_log(admin_client, ended):
    (ended.directory / "train.log").write_text("old\n" * 9000 + "<b>the last word</b>\n")
    page = admin_client.get(address("change", ended.pk)).content.decode()
    assert "&lt;b&gt;the last word&lt;/b&gt;" in page
    assert page.count("old\n") < 5000


def test_a_snapshot_is_deleted_with_its_folder(admin_client, ended):
    taken = snapshot(ended, 1)
    admin_client.post(address("snapshot_delete", ended.pk, taken.pk))
    assert not ended.snapshots.exists()
    assert not taken.directory.exists()
    assert AuditEntry.objects.filter(actor="admin", action="delete snapshot").exists()


def test_a_snapshot_that_is_kept_is_not_deleted(admin_client, ended):
    taken = snapshot(ended, 1)
    admin_client.post(address("snapshot_keep", ended.pk, taken.pk), {"keep": "yes"})
    said = admin_client.post(address("snapshot_delete", ended.pk, taken.pk), follow=True).content.decode()
    assert "is to be kept" in said
    assert taken.directory.exists()


def test_a_snapshot_that_a_model_is_to_start_from_is_not_deleted(admin_client, ended, make_model):
    taken = snapshot(ended, 1)
    make_model(ended.dataset, name="next", method="previous", standard_network="", previous=ended, previous_epoch=1)
    said = admin_client.post(address("snapshot_delete", ended.pk, taken.pk), follow=True).content.decode()
    assert "is still to read the snapshot" in said
    assert taken.directory.exists()


def test_a_snapshot_of_another_model_is_not_found_under_this_one(admin_client, ended, make_model):
    taken = snapshot(make_model(ended.dataset, name="other"), 1)
    assert admin_client.post(address("snapshot_delete", ended.pk, taken.pk)).status_code == 404
    assert taken.directory.exists()


def test_the_metrics_of_several_models_are_exported_by_an_action(admin_client, model, make_model):
    other = measured(make_model(model.dataset, name="other"), 2)
    measured(model, 1)
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
    about_the_job = {"job_id", "name", "notes", "owner", "priority", "created_at", "previous_network"}
    columns = {field.name for field in TrainedModel._meta.fields if field.editable} | {"kind", "previous"}
    assert columns - about_the_job - set(comparison.SETTINGS) == set()


def test_one_model_alone_is_not_compared(admin_client, model):
    said = admin_client.post(LIST, {"action": "compare", "_selected_action": [model.pk]}, follow=True)
    assert "Choose from 2 to 8 models" in said.content.decode()


def test_what_users_write_is_text_on_every_page(admin_client, built_dataset, make_model):
    model = measured(make_model(built_dataset, name=HOSTILE, notes=HOSTILE), 2)
    other = make_model(built_dataset, name=HOSTILE)
    (model.directory / "train.log").write_text(HOSTILE)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.ERROR, error=HOSTILE)
    pages = [LIST, address("change", model.pk), "/admin/", f"{address('compare')}?ids={model.pk},{other.pk}"]
    pages += [address("delete", model.pk)]
    for page in pages:
        content = admin_client.get(page).content.decode()
        assert "<script>alert" not in content
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7|add:7 }}" in content
