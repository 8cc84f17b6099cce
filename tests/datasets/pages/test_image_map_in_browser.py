"""The map of a dataset's images in a browser: by mouse, by keyboard, and without scripts."""

import json
import re

import pytest
from playwright.sync_api import expect

from datasets import reports
from datasets.models import Dataset
from datasets.sources.revision_source import FILE
from datasets.tasks import make_report
from tests.support.browser import CHROMIUM, NO_CHROMIUM, PageErrors, chromium

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]


@pytest.fixture
def address(live_server, open_server, make_built):
    """The address of the map of a dataset of digits."""
    dataset = make_built()
    make_report(reports.start(dataset).pk)
    return f"{live_server.url}/datasets/{dataset.pk}/report/map"


@pytest.fixture
def open_page(chromium):
    """A function that opens a page; the options are those of a browser's context."""
    contexts = []

    def open_page(**options):
        contexts.append(chromium.new_context(**options))
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


def draw_lasso(page):
    """Draw a lasso around the whole map."""
    box = page.locator(".map-frame canvas").bounding_box()
    left, top, right, bottom = (
        box["x"] + 3,
        box["y"] + 3,
        box["x"] + box["width"] - 3,
        box["y"] + box["height"] - 3,
    )
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(*corner, steps=3)
    page.mouse.up()


def test_images_are_found_and_selected_on_the_map_and_left_out_of_a_revision(open_page, address):
    errors = PageErrors()
    page = open_page()
    errors.listen(page)
    page.goto(address)
    selected = page.locator("#map-selection h2")
    page.get_by_role("button", name="Lasso").click()
    draw_lasso(page)
    expect(selected).to_have_text("120 images selected")
    page.get_by_role("button", name="3 (12)").click()
    draw_lasso(page)
    expect(selected).to_have_text("108 images selected")

    page.get_by_role("button", name="Clear").click()
    expect(selected).to_be_hidden()
    page.get_by_role("application", name="Map of the images").focus()
    page.keyboard.press("ArrowRight")
    shown = page.locator("#map-image")
    expect(shown).to_be_visible()
    page.keyboard.press(" ")
    expect(selected).to_have_text("1 image selected")
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("r")
    expect(selected).to_have_text(re.compile(r"^[2-9] images? selected$"))
    page.keyboard.press("Escape")
    page.keyboard.press(" ")
    split, record = re.search(r"(\w+)/(\d+)", shown.inner_text()).groups()
    link = page.locator("#map-selection .more-like")
    assert link.get_attribute("href").endswith(f"/similar?image={split}%2F{record}")
    page.get_by_role("button", name="Make the revision").click()
    expect(page.get_by_role("heading", name="digits, revision 1")).to_be_visible()
    revision = Dataset.objects.get(parent__isnull=False)
    changes = json.loads((revision.directory / FILE).read_text())
    assert changes["exclude"] == [f"{split}/{record}"]
    assert errors == []


def test_without_scripts_the_map_is_a_table_of_categories(open_page, address):
    page = open_page(java_script_enabled=False)
    page.goto(address)
    expect(page.locator("canvas")).to_be_hidden()
    page.get_by_role("row", name=re.compile(r"^3 12 \d+ %")).get_by_role("link").click()
    expect(page.get_by_text("12 of 12 images of 3")).to_be_visible()
