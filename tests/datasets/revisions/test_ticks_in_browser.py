"""Ticks in a report in a browser: on several pages of it, with the keyboard, without scripts; and the new dataset."""

import pytest
from playwright.sync_api import expect

from datasets import reports, revisions
from datasets.imagedb import Changes
from datasets.models import Dataset
from datasets.services import create_dataset
from datasets.tasks import build_dataset, make_report
from tests.datasets.report.planted import TILE, needs_photos, write_planted
from tests.support.browser import CHROMIUM, NO_CHROMIUM, SCREENS, PageErrors, chromium
from tests.support.samples.imagedb_samples import write_28_pixel_digits

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
    pytest.mark.usefixtures("open_server"),
    needs_photos,
]

SIZE = {"resize_width": TILE, "resize_height": TILE}


@pytest.fixture
def dataset(transactional_db, open_server, tmp_path):
    """A dataset with planted faults, and its report."""
    made = create_dataset("", name="photos", folder_train=str(write_planted(tmp_path)), **SIZE)
    build_dataset(made.pk)
    make_report(reports.start(Dataset.objects.get()).pk)
    return Dataset.objects.get()


@pytest.fixture
def errors():
    """The errors of the pages."""
    return PageErrors()


@pytest.fixture
def open_report(chromium, live_server, errors, dataset):
    """A function that opens the report on a screen."""
    contexts = []

    def open_report(screen, **options):
        contexts.append(chromium.new_context(**SCREENS[screen], **options))
        page = contexts[-1].new_page()
        errors.listen(page)
        page.goto(f"{live_server.url}/datasets/{dataset.pk}/report")
        return page

    yield open_report
    for context in contexts:
        context.close()


def names(images):
    return sorted(image["path"].rpartition("/")[2] for image in images)


def test_ticks_of_several_pages_become_one_revision(open_report, live_server, dataset, client, errors):
    page = open_report("phone")
    page.get_by_label("Leave out all copies but the first of each picture").first.check()
    expect(page.locator("[data-ticked]")).to_have_text("2 images ticked")
    page.goto(f"{live_server.url}/datasets/{dataset.pk}/report?finding=blank")
    expect(page.locator("[data-ticked]")).to_have_text("2 images ticked, 2 of them on other pages")
    page.locator("[data-image]").press("Space")
    page.goto(f"{live_server.url}/datasets/{dataset.pk}/report?finding=tiny")
    page.locator(".tick select").focus()  # the script lists all categories
    page.locator(".tick select").select_option("chelsea")  # and ticks the image
    page.get_by_role("button", name="Make a revision…").press("Enter")
    expect(page.locator(".lead")).to_contain_text("without 3 images and with another category for 1")
    page.get_by_role("textbox", name="Name").fill("clean photos")
    page.get_by_role("button", name="Make the revision").click()
    page.wait_for_url("**/datasets/2*")
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('ticks'))") == []
    made = Dataset.objects.get(name="clean photos")
    build_dataset(made.pk)
    found = client.get(f"/datasets/{made.pk}/diff.json").json()
    [image] = found["relabelled"]
    assert (image["from"], image["to"], names([image])) == ("coffee", "chelsea", ["tiny.png"])
    assert {"blank.png"} < set(names(found["excluded"]))
    assert len(found["excluded"]) == 3
    assert errors == []


def test_without_scripts_ticks_of_a_page_are_sent_with_its_form(open_report, dataset):
    page = open_report("wide", java_script_enabled=False)
    doubted = page.locator("#label_errors .tick").first
    likelier = doubted.locator("select").input_value()
    image = doubted.locator("input").get_attribute("data-image")
    doubted.locator("input").check()
    page.locator("#near_copies [name=all]").check()
    page.get_by_role("button", name="Make a revision…").click()
    page.get_by_role("button", name="Make the revision").click()
    made = Dataset.objects.exclude(pk=dataset.pk).get()
    assert made.source.changes(made).relabel == {image: likelier}
    assert (made.name, made.revision["excluded"]) == ("photos, revision 1", 2)


def test_long_names_of_categories_make_no_page_wider_than_a_phone(open_report, live_server, dataset, tmp_path):
    folder = write_28_pixel_digits(tmp_path / "digits", categories=2, each=6)
    for number, letter in enumerate("ab"):
        (folder / str(number)).rename(folder / (letter * 250))
    made = create_dataset("", name="long names", folder_train=str(folder), **SIZE)
    build_dataset(made.pk)
    make_report(reports.start(Dataset.objects.get(pk=made.pk)).pk)
    revision = revisions.revise(Dataset.objects.get(pk=made.pk), "", Changes(["train/0"], {"val/0": "a" * 250}))
    build_dataset(revision.pk)
    page = open_report("phone")
    for address in (f"{made.pk}", f"{made.pk}/report", f"{made.pk}/report/map", f"{revision.pk}/diff"):
        page.goto(f"{live_server.url}/datasets/{address}")
        assert page.evaluate("document.documentElement.scrollWidth") == SCREENS["phone"]["viewport"]["width"], address
