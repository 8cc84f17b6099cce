"""Every route of the server by every kind of account: what is new and named nowhere here is a failure."""

import re

import pytest
from django.urls import get_resolver

from tests.support.accounts import account

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")


def with_suffix(*routes):
    return {path for route in routes for path in (route, f"{route}.json")}


LOGGING_IN = {"/admin/login/", "/admin/logout/"}
WITH_A_PROVIDER = {"/oidc/login", "/oidc/callback"}  # 404 without one
ANYBODYS = {"/healthz", "/readyz", "/static/x", *LOGGING_IN, *WITH_A_PROVIDER, *with_suffix("/login", "/logout")}
LEADING_ON = {"/datasets", "/models"} | {
    f"/{kind}/images/{what}/new" for kind in ("datasets", "models") for what in ("classification", "generic")
}
QUESTIONS = with_suffix(
    *(f"/models/images/classification/{what}" for what in ("classify_one", "classify_many", "top_n")),
    *(f"/models/images/generic/{what}" for what in ("infer_one", "infer_many")),
    *(f"/models/{what}" for what in ("visualize-lr", "visualize-network", "customize")),
)
OF_ANY_STAFF = {"/admin/", "/admin/jsi18n/", "/admin/password_change/", "/admin/password_change/done/"}


def paths(patterns, job, prefix="/"):
    """An address of every route, those of jobs with that one's id."""
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from paths(pattern.url_patterns, job, route)
        else:
            route = re.sub(r"\(\?P<app_label>.*", "datasets/", route.replace("^", ""))
            yield re.sub(r"\(\?P<\w+>\.\*\)\$", "x", re.sub(r"<\w+:\w+>", job.pk, route))


@pytest.fixture
def everything(settings, make_dataset, make_model):
    """An address of every route, those that log out last; the jobs are ada's."""
    settings.DIGITS_AUTH = "required"
    job = make_model(make_dataset())
    found = [
        path.replace(job.pk, job.dataset_id) if "/datasets/" in path else path
        for path in paths(get_resolver().url_patterns, job)
    ]
    assert len(found) > 140
    assert {*ANYBODYS, *LEADING_ON, *QUESTIONS, *OF_ANY_STAFF} <= set(found)
    return sorted(found, key=lambda path: "logout" in path)


@pytest.fixture
def passed(client):
    """The addresses of a list that answer anything but what refuses, to one of the methods."""

    def passed(addresses, methods, refused):
        return {
            path
            for path in addresses
            for method in methods
            if not refused(client.generic(method, path, "{}", content_type="application/json"))
        }

    return passed


def no_account(answer):
    return answer.status_code == 401 or answer.headers.get("Location", "").startswith("/admin/login/")


def forbidden(answer):
    return answer.status_code == 403


def forbidden_page(answer):
    """Or none that is there, or one that leads to such a page."""
    return answer.status_code in (403, 404, 405) or answer.headers.get("Location", "").startswith("/admin/")


def test_without_an_account_nothing_is_open_but_what_is_named(everything, passed):
    assert passed(everything, METHODS, no_account) == ANYBODYS | LEADING_ON


@pytest.mark.parametrize("staff", [False, True])
def test_an_account_in_no_group_gets_no_further(client, everything, passed, staff):
    client.force_login(account("nina", is_staff=staff))
    ours = [path for path in everything if not path.startswith("/admin/")]
    assert passed(ours, METHODS, forbidden) == (ANYBODYS | LEADING_ON) - LOGGING_IN


def test_staff_in_no_group_sees_nothing_in_the_admin(client, everything, passed):
    client.force_login(account("stan", is_staff=True))
    pages = [path for path in everything if path.startswith("/admin/") and path not in LOGGING_IN]
    assert passed(pages, ("GET", *CHANGING), forbidden_page) == OF_ANY_STAFF


def test_a_viewer_asks_and_changes_nothing(client, everything, passed):
    client.force_login(account("vera", "viewer"))
    ours = [path for path in everything if not path.startswith("/admin/")]
    assert passed(ours, CHANGING, forbidden) == (ANYBODYS | LEADING_ON | QUESTIONS) - LOGGING_IN


def test_a_user_changes_nobody_elses_job(client, everything, passed):
    client.force_login(account("ugo", "user"))
    jobs = [path for path in everything if re.match(r"/(jobs|datasets|models)/\d", path)]
    may = passed(jobs, CHANGING, lambda answer: answer.status_code in (403, 405))
    assert {re.sub(r"/\d[^/.]*", "", path) for path in may} == with_suffix("/models/evaluation")  # it makes one of his


def test_no_route_fails_on_any_method_as_a_page(client, everything, passed):
    client.force_login(account("root", is_superuser=True, is_staff=True))
    reading = [path for path in everything if path not in with_suffix("/logout") | {"/admin/logout/", "/readyz"}]
    answers = [client.generic(method, path) for method in ("HEAD", "OPTIONS") for path in reading]
    assert max(answer.status_code for answer in answers) < 500
