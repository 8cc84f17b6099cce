"""What the client raises, what it retries, and how it sends fields; against the application in this process."""

from types import SimpleNamespace

import pytest

from datasets.models import Dataset
from digits_client import Conflict, InvalidField, Model, NotAllowed, NotFound, NotLoggedIn, TooManyRequests, connection
from digits_project.accounts import throttling
from models_app.models import TrainedModel
from tests.support.api_requests import make_account, token_header
from tests.support.samples.row_samples import add_snapshot


@pytest.fixture
def dataset(server, make_built):
    """A dataset that is Done, as the client sees it."""
    return server.datasets.get(make_built().pk)


def token_of(user, **limits):
    return token_header(user, **limits)["Authorization"].partition(" ")[2]


# --- exceptions -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wire_format", ["documented", "digits"])
def test_wrong_fields_are_an_exception_that_names_them(server, settings, wire_format):
    settings.DIGITS_WIRE_FORMAT = wire_format
    with pytest.raises(InvalidField, match=r"(?m)^folder_train: This field is required\.$") as caught:
        server.datasets.create("d", resize_width=0)
    assert set(caught.value.fields) == {"folder_train", "resize_width"}
    assert caught.value.fields["folder_train"] == ["This field is required."]
    assert caught.value.status == 400


def test_an_unknown_job_is_not_found(server):
    with pytest.raises(NotFound, match="Job not found"):
        server.models.get("20200101-000000-abcd")
    with pytest.raises(LookupError, match="no job with the name 'nothing'"):
        server.datasets.find("nothing")


def test_a_wrong_token_is_not_logged_in(connected, settings, transactional_db):
    settings.DIGITS_AUTH = "required"
    with pytest.raises(NotLoggedIn, match="There is no such token"):
        connected("digits_wrong").datasets.list().first()
    with pytest.raises(NotLoggedIn):
        connected().account()


def test_what_an_account_may_not_do_is_not_allowed(connected, settings, transactional_db):
    settings.DIGITS_AUTH = "required"
    viewer = connected(token_of(make_account("vera", "viewer")))
    assert viewer.account()["name"] == "vera"
    with pytest.raises(NotAllowed, match="needs an account of the group user"):
        viewer.datasets.create("d", folder_train="/")


def test_a_job_in_the_wrong_state_is_a_conflict(server, dataset):
    with pytest.raises(Conflict, match="resumed"):
        dataset.resume()
    with pytest.raises(NotAllowed, match="nothing to abort"):
        dataset.abort()


def test_a_folder_of_this_computer_is_not_sent_as_a_file(server, tmp_path):
    with pytest.raises(IsADirectoryError, match=r"create_from_folder\(\)"):
        server.datasets.create("d", folder_train=tmp_path)


SEVERAL = [
    {"learning_rate": [0.1, 0.01]},
    {"batch_size": "8,16"},
    {"momentum": "0.8..0.99"},
    {"weight_decay": "1e-5..1e-3 log"},
]


@pytest.mark.parametrize("fields", SEVERAL)
def test_several_values_of_a_field_are_refused_by_train(server, dataset, fields):
    with pytest.raises(ValueError, match=r"models\.sweep\(\)"):
        server.models.train(dataset, **fields)
    assert TrainedModel.objects.count() == 0


# --- retries ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def pauses(monkeypatch):
    """The seconds for which the client would have slept."""
    seen = []
    monkeypatch.setattr(connection, "time", SimpleNamespace(sleep=seen.append))
    return seen


def test_a_rate_limit_is_waited_for_as_long_as_the_server_says(
    connected, settings, transactional_db, pauses, monkeypatch
):
    settings.DIGITS_AUTH, settings.DIGITS_INFERENCE_RATE = "required", 1
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: 20.0))  # 40 seconds before the next minute
    user = connected(token_of(make_account("ada", "user")))
    model = Model(user._connection, {"id": "20200101-000000-abcd"})
    with pytest.raises(NotFound):
        model.classify_one(b"")
    with pytest.raises(TooManyRequests) as caught:
        model.classify_one(b"")
    assert pauses == [40.0] * (connection.MAX_ATTEMPTS - 1)
    assert caught.value.retry_after == 40.0


def test_a_limit_that_does_not_go_by_is_not_waited_for(connected, settings, transactional_db, pauses, dataset):
    settings.DIGITS_AUTH, settings.DIGITS_MOST_WAITING = "required", 1
    user = connected(token_of(make_account("ada", "user")))
    user.models.train(dataset.id, recipe="classic", standard_networks="lenet")
    with pytest.raises(TooManyRequests) as caught:
        user.models.train(dataset.id, recipe="classic", standard_networks="lenet")
    assert (caught.value.retry_after, pauses) == (None, [])


# --- the wire format of DIGITS ----------------------------------------------------------------------------------------
def test_both_wire_formats_give_the_same_results(server, settings, dataset, make_model, digits_folder):
    snapshot = add_snapshot(make_model(Dataset.objects.get(pk=dataset.id)), epoch=1, seed=0)
    model, image = server.models.get(snapshot.trained_model_id), digits_folder / "3" / "0.png"
    documented = model.classify_one(image)
    settings.DIGITS_WIRE_FORMAT = "digits"
    assert model.classify_one(image) == documented
    assert (len(documented.predictions), documented.snapshot) == (5, 1.0)
    assert model.classify([b"no image"], skip_unreadable=True) == []
    assert model.rename("of digits").abort().status == "Aborted"
    assert model.resume().name == "of digits"
    model.delete()
    assert list(server.models.list()) == []
