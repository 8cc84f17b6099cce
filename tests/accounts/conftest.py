"""Fixtures for the tests of accounts: servers that require one, a confidential model, and the URL of every route."""

import re

import pytest
from django.urls import get_resolver

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from models_app import evaluations
from models_app.results import Evaluation
from tests.support.api_requests import make_account
from tests.support.samples.row_samples import add_snapshot


@pytest.fixture
def auth_required(db, settings, digits_folder):
    """A server that requires an account; jobs can read the digits."""
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def private_server(auth_required, settings):
    """A server that shows users only their own jobs and those shared with their groups."""
    settings.DIGITS_PRIVATE = True


@pytest.fixture
def dataset_form(digits_folder):
    """A valid form for a classification dataset."""
    return {"dataset_name": "digits", "folder_train": str(digits_folder)}


@pytest.fixture
def urls_of():
    """A function that returns the URL path of every route, with the id of a job in those that take one."""

    def urls_of(job, patterns=None, prefix="/"):
        for pattern in get_resolver().url_patterns if patterns is None else patterns:
            route = f"{prefix}{pattern.pattern}"
            if hasattr(pattern, "url_patterns"):
                yield from urls_of(job, pattern.url_patterns, route)
            else:
                route = re.sub(r"\(\?P<app_label>.*", "datasets/", route.replace("^", ""))
                route = re.sub(r"<\w+:\w+>", job.pk, re.sub(r"<int:\w+>", "1", route))
                yield re.sub(r"\(\?P<\w+>\.\*\)\$", "x", route)

    return urls_of


@pytest.fixture
def model(built_dataset, make_model, cpu):
    """Ada's model, which has a snapshot, an evaluation and an error that names a path, on her built dataset."""
    built_dataset.name = "confidential dataset"
    built_dataset.warnings = [f"{built_dataset.folder_train}/3/x.png is odd"]
    built_dataset.save(update_fields=["name", "warnings"])
    model = make_model(built_dataset, name="confidential model")
    add_snapshot(model, 1, seed=1)
    lifecycle.advance(model, Status.RUNNING)
    lifecycle.advance(model, Status.ERROR, error=f"{model.directory}/snapshots can't be written.")
    (model.directory / "train.log").write_text(f"reading {model.dataset.directory}/train.rec\n")
    evaluation = evaluations.evaluate(model, "val", owner="ada")
    worst = [
        {"record": 0, "path": f"{built_dataset.folder_train}/3/x.png", "category": "3", "answer": "4", "confidence": 9}
    ]
    Evaluation.objects.filter(pk=evaluation.pk).update(worst_errors=worst)
    Device.objects.filter(pk=cpu.pk).update(leased_to=model.pk)
    return model


@pytest.fixture
def ugo():
    """Another user, who can open the admin."""
    return make_account("ugo", "user", is_staff=True)


@pytest.fixture
def url_paths(model, urls_of):
    """The URL path of every route except logout and the admin's login, with the ids of ada's jobs."""
    evaluation = Evaluation.objects.get().pk
    id_of = {
        "/evaluations/": evaluation,
        "/models_app/evaluation/": evaluation,
        "/models/": model.pk,
        "/datasets/": model.dataset_id,
    }
    urls = []
    for path in urls_of(model):
        job_id = next((pk for part, pk in id_of.items() if part in path), model.pk)
        urls.append(path.replace(model.pk, job_id))
    return [path for path in urls if "logout" not in path and path not in ("/admin/login/",)]


@pytest.fixture
def page_texts(client, url_paths):
    """A function that returns {path: (status code, text)} of a GET of every route by a user."""

    def page_texts(user):
        texts = {}
        client.force_login(user)
        for path in url_paths:
            session = client.session
            if session.pop("_messages", None):  # else a page shows the messages of the pages before
                session.save()
            accepted = "application/json" if path.endswith(".json") else "text/html"
            response = client.get(path, headers={"Accept": accepted})
            content = b"".join(response.streaming_content) if response.streaming else response.content
            texts[path] = response.status_code, content.decode(errors="replace")
        return texts

    return page_texts
