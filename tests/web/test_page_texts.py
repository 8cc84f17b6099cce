"""The texts of pages are for people: no names of fields or methods of HTTP outside of code."""

import re
from html.parser import HTMLParser

import pytest

from tests.web.test_every_page import addresses

__all__ = ["addresses"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
NOT_READ = {"code", "pre", "script", "style", "textarea", "head"}
# Names of fields have an underscore; a name such as half_crop is a value that is chosen.
TECHNICAL = re.compile(
    r"\b(job_id|image_file|image_path|image_url|folder_train|upload_train|POST|PUT|DELETE|as JSON)\b|{{|}}|{%|^None$"
)


class Text(HTMLParser):
    """The texts that a person reads on a page, without code."""

    def __init__(self, page):
        super().__init__()
        self.parts, self.unread = [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.unread += tag in NOT_READ

    def handle_endtag(self, tag):
        self.unread -= tag in NOT_READ

    def handle_data(self, data):
        self.parts += [] if self.unread else [data.strip()]

    def technical(self):
        return [part for part in self.parts if TECHNICAL.search(part)]


def test_no_page_speaks_of_fields_and_methods(client, addresses):
    pages = {name: client.get(path, headers={"Accept": "text/html"}) for name, path in addresses.items()}
    found = {name: Text(page.content.decode()).technical() for name, page in pages.items()}
    assert {name: parts for name, parts in found.items() if parts} == {}
