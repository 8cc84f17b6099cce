"""Creating and cloning jobs in the admin, with the API's forms and services."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from datasets.api.serializers import FORMS as DATASET_FORMS
from datasets.models import Dataset
from digits_project.accounts.models import AuditEntry
from digits_project.api.forms import PathField
from digits_project.jobs.models import Status
from models_app.api.serializers import FORMS as MODEL_FORMS
from models_app.models import TrainedModel
from models_app.results import Snapshot
from tests.support.api_requests import make_account
from tests.support.samples.network_samples import CLASSIFIER

pytestmark = pytest.mark.django_db

DATASET = "/admin/datasets/dataset/add/"
MODEL = "/admin/models_app/trainedmodel/add/"
SMALL = {"resize_width": "28", "resize_height": "28", "resize_channels": "1"}


@pytest.fixture
def staff(settings):
    """A function that returns the client of a new staff account in these groups."""
    settings.DIGITS_AUTH = "required"

    def client_of(name, *groups):
        client = Client()
        client.force_login(make_account(name, *groups, is_staff=True))
        return client

    return client_of


@pytest.mark.parametrize("page", [DATASET, f"{DATASET}?kind=generic", MODEL, f"{MODEL}?kind=generic"])
def test_the_add_pages_have_every_field_of_the_api(admin_client, page):
    content = admin_client.get(page).content.decode()
    kind = "generic" if "generic" in page else "classification"
    route = f"/{'datasets' if page.startswith(DATASET) else 'models'}/images/{kind}.json"
    missing = [name for name in admin_client.get(route).json()["defaults"] if f'name="{name}"' not in content]
    assert missing == []


@pytest.mark.parametrize("kind", ["classification", "generic"])
@pytest.mark.parametrize("page, forms", [(DATASET, DATASET_FORMS), (MODEL, MODEL_FORMS)], ids=["dataset", "model"])
def test_the_page_marks_the_path_fields_of_the_form(admin_client, page, forms, kind):
    marked = re.findall(
        r'<input [^>]*name="(\w+)"[^>]* data-path', admin_client.get(f"{page}?kind={kind}").content.decode()
    )
    paths = [name for name, field in forms[kind]().fields.items() if isinstance(field, PathField)]
    assert marked == paths != []


def test_a_created_dataset_belongs_to_the_user_who_is_logged_in(staff, digits_folder):
    form = {"dataset_name": "digits", "method": "folder", "folder_train": str(digits_folder), **SMALL}
    response = staff("uma", "user").post(DATASET, form)
    dataset = Dataset.objects.get()
    assert response["Location"] == reverse("admin:datasets_dataset_change", args=[dataset.pk])
    assert (dataset.owner, dataset.status, dataset.resize_width) == ("uma", Status.WAITING, 28)
    assert AuditEntry.objects.filter(actor="uma", action="create").exists()


def test_an_invalid_form_shows_an_error_beside_each_field_and_keeps_the_input(admin_client):
    form = {"dataset_name": "<b>digits</b>", "folder_train": "/nowhere", "resize_width": "0"}
    page = admin_client.post(DATASET, form).content.decode()
    assert "/nowhere does not exist" in page
    assert "Ensure this value is greater than or equal to 1." in page
    assert 'value="&lt;b&gt;digits&lt;/b&gt;"' in page
    assert not Dataset.objects.exists()


def test_text_files_can_be_uploaded(admin_client, digits_folder, tmp_path):
    lines = "".join(f"{digits_folder}/{category}/{i}.png {category}\n" for category in range(2) for i in range(3))
    (tmp_path / "train.txt").write_text(lines)
    (tmp_path / "labels.txt").write_text("zero\none\n")
    with (tmp_path / "train.txt").open("rb") as train, (tmp_path / "labels.txt").open("rb") as labels:
        files = {"textfile_train_images": train, "textfile_labels_file": labels}
        admin_client.post(DATASET, {"dataset_name": "lists", "method": "textfile", **SMALL, **files})
    assert Dataset.objects.get().method == "textfile"


def test_a_dataset_is_chosen_by_its_name_and_the_history_of_a_model_is_shown_in_words(admin_client, make_dataset):
    dataset = make_dataset(name="Shoes & boots")
    assert (
        f'<option value="{dataset.pk}">Shoes &amp; boots (Waiting)</option>' in admin_client.get(MODEL).content.decode()
    )
    page = admin_client.get(reverse("admin:datasets_dataset_change", args=[dataset.pk])).content.decode()
    assert re.search(r">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Waiting<", page)


def test_the_audit_log_counts_its_entries(admin_client, make_dataset):
    make_dataset()
    page = admin_client.get(reverse("admin:accounts_auditentry_changelist")).content.decode()
    assert f"{AuditEntry.objects.count()} audit log entr" in page


def test_a_sweep_creates_a_model_for_each_combination(admin_client, built_dataset):
    form = {"model_name": "lenet", "dataset": built_dataset.pk, "standard_networks": "lenet"}
    admin_client.post(MODEL, form | {"learning_rate": "0.1,0.01", "lr_policy": "exp", "lr_exp_gamma": "0.9"})
    models = TrainedModel.objects.order_by("learning_rate")
    assert [model.learning_rate for model in models] == [0.01, 0.1]
    assert models[0].lr_parameters == {"lr_exp_gamma": 0.9}


def test_a_network_that_does_not_fit_is_refused_with_the_reason(admin_client, built_dataset):
    form = {"model_name": "custom", "dataset": built_dataset.pk, "method": "custom", "custom_network": "layer { <"}
    page = admin_client.post(MODEL, form).content.decode()
    assert "Line 1" in page or "line 1" in page
    assert "layer { &lt;" in page
    assert not TrainedModel.objects.exists()


def without_identity(job):
    ignored = {"job_id", "name", "created_at", "status_history", "owner"}
    return {field.name: getattr(job, field.name) for field in job._meta.fields if field.name not in ignored}


def fields_of(page):
    """The fields of a page's form, as a browser sends them."""
    context = page.context
    return {field.name: field.value for field in context["fields"] if field.widget not in ("file", "checkbox")} | {
        field.name: "yes" if field.value else "no" for field in context["fields"] if field.widget == "checkbox"
    }


def test_an_unchanged_clone_creates_the_same_model(admin_client, built_dataset, make_model):
    settings = {"lr_policy": "multistep", "lr_parameters": {"lr_multistep_values": [20, 70], "lr_multistep_gamma": 0.2}}
    settings |= {"train_epochs": 7, "batch_size": 5, "solver_type": "RMSPROP", "rms_decay": 0.7, "crop_size": 20}
    settings |= {"standard_network": "", "method": "custom", "custom_network": CLASSIFIER, "snapshot_interval": 0.5}
    model = make_model(built_dataset, **settings)
    page = admin_client.get(f"{MODEL}?clone={model.pk}")
    admin_client.post(MODEL, fields_of(page) | {"model_name": "again"})
    again = TrainedModel.objects.get(name="again")
    assert without_identity(again) == without_identity(TrainedModel.objects.get(pk=model.pk))


def test_a_clone_starts_from_the_same_snapshot(admin_client, built_dataset, make_model):
    first = make_model(built_dataset)
    Snapshot.objects.create(trained_model=first, epoch=2, folder="snapshots/epoch-2")
    second = make_model(built_dataset, method="previous", standard_network="", previous=first, previous_epoch=2)
    page = admin_client.get(f"{MODEL}?clone={second.pk}")
    admin_client.post(MODEL, fields_of(page) | {"model_name": "again"})
    again = TrainedModel.objects.get(name="again")
    assert (again.previous, again.previous_epoch) == (first, 2)


def test_an_unchanged_clone_creates_the_same_dataset(admin_client, make_dataset):
    dataset = make_dataset(folder_pct_val=10, folder_train_max_per_class=8, seed=3)
    page = admin_client.get(f"{DATASET}?clone={dataset.pk}")
    admin_client.post(DATASET, fields_of(page) | {"dataset_name": "again"})
    assert without_identity(Dataset.objects.get(name="again")) == without_identity(Dataset.objects.get(pk=dataset.pk))


def test_the_clone_action_redirects_to_the_filled_form(admin_client, make_dataset):
    dataset = make_dataset()
    form = {"action": "clone", "_selected_action": [dataset.pk]}
    assert admin_client.post("/admin/datasets/dataset/", form)["Location"] == f"{DATASET}?clone={dataset.pk}"


def test_viewers_can_read_but_change_nothing(staff, make_dataset):
    dataset, viewer = make_dataset(), staff("vera", "viewer")
    page = viewer.get(reverse("admin:datasets_dataset_change", args=[dataset.pk]))
    assert page.status_code == 200
    assert all(text not in page.content.decode() for text in (">Abort</button>", "Clone with changes", ">History<"))
    assert viewer.get(DATASET).status_code == 403
    assert viewer.post(DATASET, {"dataset_name": "mine"}).status_code == 403
    assert viewer.post(reverse("admin:datasets_dataset_abort", args=[dataset.pk])).status_code == 403


def test_users_can_change_only_their_own_jobs(staff, make_dataset):
    user, others = staff("uma", "user"), make_dataset()
    own = make_dataset()
    Dataset.objects.filter(pk=own.pk).update(owner="uma")
    abort = [reverse("admin:datasets_dataset_abort", args=[job.pk]) for job in (others, own)]
    assert [user.post(page).status_code for page in abort] == [403, 302]
    refusal = user.post("/admin/datasets/dataset/", {"action": "abort", "_selected_action": [others.pk]}, follow=True)
    assert "only its owner and operators" in refusal.content.decode()
    user.post(reverse("admin:datasets_dataset_delete", args=[others.pk]), {"post": "yes"})
    user.post(reverse("admin:datasets_dataset_change", args=[others.pk]), {"name": "mine", "priority": 1})
    others.refresh_from_db()
    own.refresh_from_db()
    assert (others.name, others.status, own.status) == ("digits", Status.WAITING, Status.ABORTED)


def test_only_operators_can_switch_devices(staff, cpu):
    for name, group, code in (("vera", "viewer", 403), ("uma", "user", 403), ("olga", "operator", 302)):
        response = staff(name, group).post(reverse("admin:jobs_device_change", args=[cpu.pk]), {})
        assert response.status_code == code
