"""The permissions of every kind of account on every route; a new route fails until a set here contains it."""

import re

import pytest

from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
JOB_ID = re.compile(r"\d{8}-\d{6}-\w{4}")


def with_suffix(*routes):
    return {path for route in routes for path in (route, f"{route}.json")}


ADMIN_LOGIN = {"/admin/login/", "/admin/logout/"}
OIDC = {"/oidc/login", "/oidc/callback"}  # 404 without a provider
PUBLIC = {"/healthz", "/readyz", "/static/x", *ADMIN_LOGIN, *OIDC, *with_suffix("/login", "/logout")}
READ_ONLY = {"/healthz", "/readyz"}  # 405 to other methods
REDIRECTS = {"/datasets", "/models"} | {
    f"/{kind}/images/{what}/new" for kind in ("datasets", "models") for what in ("classification", "generic")
}
READ_ONLY_POSTS = with_suffix(
    *(f"/models/images/classification/{what}" for what in ("classify_one", "classify_many", "top_n")),
    *(f"/models/images/generic/{what}" for what in ("infer_one", "infer_many")),
    *(f"/models/{what}" for what in ("visualize-lr", "visualize-network", "customize")),
    "/datasets/images/resize-example",
)
# The same for a job of anybody's: its archive, and the way to the form of a copy.
READ_ONLY_POSTS_OF_JOBS = {"/models/<id>/download", "/models/<id>/download.<id>", *with_suffix("/clone/<id>")}
OF_ONESELF = {"/account/password", "/account/tokens", "/account/tokens/withdraw"}
STAFF_PAGES = {"/admin/", "/admin/jsi18n/", "/admin/password_change/", "/admin/password_change/done/"}


@pytest.fixture
def all_urls(auth_required, make_dataset, make_model, urls_of):
    """The URL path of every route, with the ids of ada's jobs; the routes that log out come last."""
    job = make_model(make_dataset())
    urls = [path.replace(job.pk, job.dataset_id) if "/datasets/" in path else path for path in urls_of(job)]
    assert len(urls) > 140
    assert {*PUBLIC, *REDIRECTS, *READ_ONLY_POSTS, *STAFF_PAGES} <= set(urls)
    return sorted(urls, key=lambda path: "logout" in path)


@pytest.fixture
def accepted_urls(client):
    """A function that returns the URLs of a list that accept a request with at least one of the methods."""

    def accepted_urls(urls, methods, is_rejected):
        return {
            path
            for path in urls
            for method in methods
            if not is_rejected(client.generic(method, path, "{}", content_type="application/json"))
        }

    return accepted_urls


def is_unauthenticated(response):
    return response.status_code == 401 or response.headers.get("Location", "").startswith("/admin/login/")


def is_forbidden(response):
    return response.status_code == 403


def is_forbidden_or_unknown(response):
    """403, or 405: the route has no such method."""
    return response.status_code in (403, 405)


def is_forbidden_page(response):
    """A page of the admin that is forbidden or missing, or that redirects within the admin."""
    return response.status_code in (403, 404, 405) or response.headers.get("Location", "").startswith("/admin/")


def test_only_the_listed_routes_are_open_without_an_account(all_urls, accepted_urls):
    assert accepted_urls(all_urls, METHODS, is_unauthenticated) == PUBLIC | REDIRECTS


@pytest.mark.parametrize("staff", [False, True])
def test_an_account_without_a_group_can_use_only_the_public_routes(client, all_urls, accepted_urls, staff):
    client.force_login(make_account("nina", is_staff=staff))
    api_urls = [path for path in all_urls if not path.startswith("/admin/")]
    assert accepted_urls(api_urls, METHODS, is_forbidden) == (PUBLIC | REDIRECTS) - ADMIN_LOGIN


def test_a_staff_account_without_a_group_sees_only_the_empty_admin_pages(client, all_urls, accepted_urls):
    client.force_login(make_account("stan", is_staff=True))
    pages = [path for path in all_urls if path.startswith("/admin/") and path not in ADMIN_LOGIN]
    assert accepted_urls(pages, ("GET", *CHANGING), is_forbidden_page) == STAFF_PAGES


def test_a_viewer_can_post_only_to_routes_that_change_nothing(client, all_urls, accepted_urls):
    client.force_login(make_account("vera", "viewer"))
    api_urls = [path for path in all_urls if not path.startswith("/admin/")]
    accepted = accepted_urls(api_urls, CHANGING, is_forbidden_or_unknown)
    allowed = PUBLIC | REDIRECTS | READ_ONLY_POSTS | READ_ONLY_POSTS_OF_JOBS | OF_ONESELF
    assert {JOB_ID.sub("<id>", path) for path in accepted} == allowed - ADMIN_LOGIN - READ_ONLY


def test_a_user_cannot_change_the_job_of_another(client, all_urls, accepted_urls):
    client.force_login(make_account("ugo", "user"))
    job_urls = [path for path in all_urls if re.match(r"/(jobs|datasets|models)/\d", path)]
    changed = accepted_urls(job_urls, CHANGING, is_forbidden_or_unknown)
    of_datasets = ("/datasets/<id>/report", "/datasets/<id>/revisions")
    creating = ("/models/<id>/evaluation", "/models/<id>/to_pretrained", *of_datasets)
    new_jobs = with_suffix(*creating)  # create jobs that belong to ugo
    downloads = {path for path in READ_ONLY_POSTS_OF_JOBS if path.startswith("/models/")}
    assert {JOB_ID.sub("<id>", path) for path in changed} == new_jobs | downloads


def test_no_route_fails_on_head_or_options(client, all_urls, accepted_urls):
    client.force_login(make_account("root", is_superuser=True, is_staff=True))
    urls = [path for path in all_urls if path not in with_suffix("/logout") | {"/admin/logout/", "/readyz"}]
    responses = [client.generic(method, path) for method in ("HEAD", "OPTIONS") for path in urls]
    assert max(response.status_code for response in responses) < 500
