"""dry_run: what a form would create, and estimates of its time and disk space, without creating anything."""

import io
import shutil

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command

from models_app.estimates.disk_room import still_written
from models_app.models import TrainedModel
from tests.support.api_requests import field_errors, make_account, token_header
from tests.support.samples.row_samples import with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"
MEBIBYTE, GIGABYTE = 1 << 20, 10**9


@pytest.fixture
def form(built_dataset):
    """A valid form for a LeNet on 28×28 digits."""
    return {"model_name": "net", "dataset": built_dataset.pk, "standard_networks": "lenet", "train_epochs": 3}


@pytest.fixture
def large_form(make_dataset, form):
    """A valid form for a LeNet on 256×256 images, of which a snapshot has 372 MB, so that what other processes write
    meanwhile makes no difference."""
    large = with_categories(make_dataset(resize_width=256, resize_height=256, resize_channels=3))
    return form | {"dataset": large.pk}


@pytest.fixture
def almost_full(settings):
    """A function that leaves trainings so many bytes of the disk."""

    def leave(size):
        settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
        there = shutil.disk_usage(settings.DIGITS_JOBS_DIR).free
        settings.DIGITS_MIN_FREE_DISK = (there - round(size)) // MEBIBYTE

    return leave


def test_a_dry_run_creates_nothing_and_says_what_the_recipe_fills_in(client, built_dataset):
    fields = {"model_name": "net", "dataset": built_dataset.pk, "recipe": "auto", "dry_run": 1, "batch_size": 8}
    planned = client.post(CREATE, fields).json()
    assert (planned["dry_run"], planned["name"], planned["recipe_used"]) == (True, "net", "scratch")
    assert planned["filled_in"]["standard_networks"] == "lenet"
    assert planned["recipe_reason"].endswith(".")
    assert not TrainedModel.objects.exists()
    assert [path.name for path in django_settings.DIGITS_JOBS_DIR.glob("[!.]*")] == [built_dataset.pk]


def test_a_dry_run_estimates_time_disk_and_memory(client, form):
    estimate = client.post(CREATE, form | {"dry_run": "yes"}).json()["estimate"]
    assert estimate["seconds"] > 1
    assert estimate["snapshot_bytes"] == 431_080 * 4
    assert estimate["snapshots"] == 3
    # Three snapshots, the momentum of the newest, and 120 decoded images of 28×28 pixels.
    assert estimate["disk_bytes"] == 4 * 431_080 * 4 + estimate["cache_bytes"]
    assert 90 * 784 <= estimate["cache_bytes"] <= 120 * (784 + 4)
    assert estimate["memory_bytes"] > 3 * 431_080 * 4
    assert estimate["disk_free_bytes"] > 0


def test_a_dry_run_of_several_models_lists_them(client, form):
    planned = client.post(CREATE, form | {"dry_run": 1, "learning_rate": "0.1,0.01"}).json()["jobs"]
    assert [model["name"] for model in planned] == ["net learning_rate:0.1", "net learning_rate:0.01"]
    assert not TrainedModel.objects.exists()


def test_the_time_is_not_known_before_the_dataset_is_done(client, make_dataset, form):
    planned = client.post(CREATE, form | {"dataset": make_dataset().pk, "dry_run": 1}).json()
    assert planned["estimate"]["seconds"] is None
    assert planned["estimate"]["cache_bytes"] is None
    assert "not Done" in planned["estimate"]["basis"]


def test_a_dry_run_reports_errors_as_a_create_does(client, form):
    wrong = form | {"train_epochs": 0, "train_layers": "head"}
    assert field_errors(client.post(CREATE, wrong | {"dry_run": 1})) == field_errors(client.post(CREATE, wrong))


def test_a_senseless_size_is_a_warning_of_a_dry_run(client, make_dataset, form):
    large = with_categories(make_dataset(resize_width=256, resize_height=256, resize_channels=3))
    [warning] = client.post(CREATE, form | {"dataset": large.pk, "dry_run": 1}).json()["warnings"]
    assert "weights" in warning
    assert "input_size" in warning


def test_trainings_that_the_disk_would_not_hold_are_refused_before_anything_is_queued(client, large_form, almost_full):
    almost_full(1.5 * GIGABYTE)
    planned = client.post(CREATE, large_form | {"dry_run": 1}).json()
    response = client.post(CREATE, large_form)
    assert response.status_code == 507
    for refusal in (planned["refusals"][0], response.json()["error"]["description"]):
        assert refusal.startswith("2.23 GB of disk space are needed (3 snapshots of 372 MB), and 1.")
    assert "keep_snapshots" in planned["refusals"][0]
    assert "DIGITS_MIN_FREE_DISK" in planned["refusals"][0]
    assert not TrainedModel.objects.exists()


def test_fewer_snapshots_fit_where_more_do_not(client, large_form, almost_full):
    almost_full(1.9 * GIGABYTE)
    assert client.post(CREATE, large_form).status_code == 507
    assert client.post(CREATE, large_form | {"snapshot_interval": 0}).status_code == 200


def test_models_of_a_sweep_must_fit_together(client, large_form, almost_full):
    almost_full(4 * GIGABYTE)
    assert client.post(CREATE, large_form).status_code == 200
    assert client.post(CREATE, large_form | {"learning_rate": "0.1,0.01,0.001"}).status_code == 507
    assert TrainedModel.objects.count() == 1


def test_a_disk_that_is_nearly_full_is_a_warning(client, large_form, almost_full):
    almost_full(3.5 * GIGABYTE)
    planned = client.post(CREATE, large_form | {"dry_run": 1}).json()
    assert planned["refusals"] == []
    assert planned["warnings"][-1].startswith("2.23 GB of disk space are needed")


def test_what_waiting_trainings_will_write_counts_until_they_have_written_it(client, large_form, almost_full):
    almost_full(4 * GIGABYTE)
    first = client.post(CREATE, large_form).json()["id"]
    planned = client.post(CREATE, large_form | {"dry_run": 1}).json()
    response = client.post(CREATE, large_form)
    assert response.status_code == 507
    for refusal in (planned["refusals"][0], response.json()["error"]["description"]):
        assert "of which waiting and running trainings will still write 2.23 GB. Keep fewer snapshots" in refusal
    assert planned["estimate"]["disk_pending_bytes"] == TrainedModel.objects.get().estimated_bytes
    TrainedModel.objects.update(status="Running", disk_bytes=2 * GIGABYTE)
    running = client.post(CREATE, large_form | {"dry_run": 1}).json()
    assert (running["refusals"], running["estimate"]["disk_pending_bytes"] < 0.24 * GIGABYTE) == ([], True)
    TrainedModel.objects.filter(pk=first).update(status="Done", disk_bytes=0)
    assert client.post(CREATE, large_form | {"dry_run": 1}).json()["estimate"]["disk_pending_bytes"] == 0


def test_trainings_on_one_dataset_share_its_caches(client, form, built_dataset):
    for _ in range(2):
        estimate = client.post(CREATE, form | {"dry_run": 1}).json()["estimate"]
        assert client.post(CREATE, form).status_code == 200
    pending = client.post(CREATE, form | {"dry_run": 1}).json()["estimate"]["disk_pending_bytes"]
    # Three snapshots, one more while the last is written, and the solver's memory of two.
    assert pending == 2 * 6 * estimate["snapshot_bytes"] + estimate["cache_bytes"]
    TrainedModel.objects.filter(pk=TrainedModel.objects.first().pk).update(status="Running")
    assert still_written() == 2 * 6 * estimate["snapshot_bytes"]


def test_a_training_must_fit_into_its_owners_limit_beside_what_his_others_will_write(client, large_form, settings):
    settings.DIGITS_AUTH, settings.DIGITS_MAX_OWNER_DISK = "required", 4000
    ugo = token_header(make_account("ugo", "user"))
    assert client.post(CREATE, large_form, headers=ugo).status_code == 200
    response = client.post(CREATE, large_form, headers=ugo)
    assert response.status_code == 507
    refusal = response.json()["error"]["description"]
    assert "and 1.96 GB are left of the 4,000 MiB that the jobs of ugo may take (DIGITS_MAX_OWNER_DISK)" in refusal
    planned = client.post(CREATE, large_form | {"dry_run": 1}, headers=ugo).json()
    assert (planned["refusals"], planned["estimate"]["owner_disk_left_bytes"] // 10**7) == ([refusal], 196)
    other = client.post(CREATE, large_form, headers=token_header(make_account("eva", "user")))
    assert other.status_code == 200


def test_trainings_that_have_ended_correct_the_next_estimate(client, form, run_training_task):
    before = client.post(CREATE, form | {"dry_run": 1}).json()["estimate"]
    assert "cores" in before["basis"]
    model = TrainedModel.objects.get(pk=client.post(CREATE, form).json()["id"])
    run_training_task(model)
    model.refresh_from_db()
    took = (model.ended_at - model.started_at).total_seconds()
    after = client.post(CREATE, form | {"dry_run": 1}).json()["estimate"]
    assert after["basis"] == "1 earlier training of the same network on this server"
    assert after["seconds"] == pytest.approx(took, rel=0.05)


def test_the_command_prints_a_plan_and_creates_nothing(built_dataset):
    printed = io.StringIO()
    call_command("train_model", "net", "--dataset", built_dataset.pk, "--dry-run", stdout=printed)
    for text in ("scratch, because", "standard_networks=lenet", "time: about", "snapshots of 1.72 MB"):
        assert text in printed.getvalue()
    assert not TrainedModel.objects.exists()


def test_the_admin_page_shows_a_plan_and_creates_nothing(admin_client, built_dataset):
    form = {"model_name": "net", "dataset": built_dataset.pk, "recipe": "auto", "dry_run": "yes"}
    page = admin_client.post("/admin/models_app/trainedmodel/add/", form).content.decode()
    assert "Nothing was created" in page
    assert "time: about" in page
    assert not TrainedModel.objects.exists()
