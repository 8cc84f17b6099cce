"""A viewer sees every page, finds no control there that changes something, and every unsafe operation is refused."""

import re
from html.parser import HTMLParser

import pytest
from django.urls import Resolver404, resolve
from drf_spectacular.generators import SchemaGenerator

from tests.accounts.test_security_routes import OF_ONESELF, READ_ONLY_POSTS
from tests.support.api_requests import make_account
from tests.web.test_every_page import PAGES, addresses

__all__ = ["addresses"]

pytestmark = [pytest.mark.django_db]
MISSING = {"no such page": 404, "no such job": 404}
FOR_USERS = {"webhooks": 403}
SENDING = ("formaction", "hx-post", "hx-put", "hx-patch", "hx-delete")
CREATION = re.compile(r"(create|upload)-|demo-")  # the names of the pages that make something
PLACE = re.compile(r"\{(\w+)\}")
# The unsafe operations that change nothing on the server: those of READ_ONLY_POSTS, and those of a job of anybody's.
HARMLESS = {path for path in READ_ONLY_POSTS if path.endswith(".json")} | {
    *("/login.json", "/logout.json", "/clone/{job_id}.json"),
    *("/models/{job_id}/download", "/models/{job_id}/download.{form}"),
}


class Controls(HTMLParser):
    """The addresses to which a page sends something, and those to which it links."""

    def __init__(self, page):
        super().__init__()
        self.sent, self.links = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = {name: value or "" for name, value in attributes}
        self.sent += [values["action"]] if tag == "form" and values.get("method", "").lower() == "post" else []
        self.sent += [values[name] for name in SENDING if name in values]
        self.links += [values["href"]] if tag == "a" and "href" in values else []

    def that_change_something(self):
        links = [address for address in self.links if CREATION.match(route_name(address))]
        return links + [address for address in self.sent if address not in READ_ONLY_POSTS | OF_ONESELF]


def route_name(address):
    """The name of the route of a link; "" for an address outside of this server, and for JSON."""
    path = address.partition("?")[0]
    try:
        return "" if path.endswith(".json") else resolve(path).url_name or ""
    except Resolver404:
        return ""


@pytest.fixture
def viewer(settings, client):
    """The client, logged in as a viewer."""
    settings.DIGITS_AUTH = "required"
    client.force_login(make_account("vera", "viewer"))
    return client


def pages_of(client, addresses):
    return {name: client.get(path, headers={"Accept": "text/html"}) for name, path in addresses.items()}


def controls_on(pages):
    """{name: the addresses of what changes something} of the pages that have such a control."""
    found = {name: Controls(page.content.decode()).that_change_something() for name, page in pages.items()}
    return {name: controls for name, controls in found.items() if controls}


def test_a_viewer_sees_every_page_and_none_of_the_controls_that_a_user_finds(viewer, addresses):
    pages = pages_of(viewer, addresses)
    assert {name: page.status_code for name, page in pages.items() if page.status_code != 200} == MISSING | FOR_USERS
    assert controls_on(pages) == {}
    assert set(pages) == set(PAGES)
    viewer.force_login(make_account("ada", "user"))
    assert {"home", "dataset", "new model", "model", "pretrained models", "webhooks"} <= set(
        controls_on(pages_of(viewer, addresses))
    )


def test_a_viewer_gets_403_from_every_operation_of_the_schema_that_changes_something(viewer, make_dataset, make_model):
    model = make_model(make_dataset())
    ids = {"job_id": model.pk, "form": "zip"}
    permitted, number = set(), 0
    paths = SchemaGenerator().get_schema(public=True)["paths"]
    for path, methods in sorted(paths.items(), key=lambda item: "logout" in item[0]):
        kind_ids = ids | ({"job_id": model.dataset_id} if path.startswith("/datasets/") else {})
        address = PLACE.sub(lambda place, values=kind_ids: values.get(place[1], "1"), path)
        for method in methods.keys() - {"get"}:
            response = viewer.generic(method.upper(), address, "{}", content_type="application/json")
            permitted |= {path} if response.status_code != 403 else set()
            number += 1
    assert number > 40
    assert permitted == HARMLESS
