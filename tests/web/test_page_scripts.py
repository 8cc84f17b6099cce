"""The scripts of the pages in a browser: forms that keep what was typed, live pages of jobs, dialogs, and the same
without scripts."""

import re

import pytest
from playwright.sync_api import expect

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from tests.support.browser import CHROMIUM, NO_CHROMIUM, PageErrors, chromium

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]

NEW_DATASET = "/datasets/images/generic"


@pytest.fixture
def visit(chromium, live_server, open_server):
    """A function that opens a page of an open server; options are those of a browser's context."""
    contexts = []

    def visit(path, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(live_server.url + path)
        return page

    yield visit
    for context in contexts:
        context.close()


def test_errors_are_at_their_fields_and_what_was_typed_and_the_chosen_file_stay(visit, tmp_path):
    image = tmp_path / "cat.png"
    image.write_bytes(b"no image")
    page = visit("/models/images/classification/classify_one")
    page.locator("#one-image summary").click()
    page.set_input_files("#id_image_file", image)
    page.fill("#id_snapshot_epoch", "-7")
    page.get_by_role("button", name="Classify", exact=True).click()
    expect(page.locator("#problem")).to_be_visible()
    assert page.input_value("#id_image_file").endswith("cat.png")
    assert page.input_value("#id_snapshot_epoch") == "-7"


def test_the_error_of_a_field_is_read_with_it_and_goes_when_it_is_mended(visit):
    page = visit(NEW_DATASET)
    page.fill("#id_prebuilt_train_images", "/nowhere")
    page.get_by_role("button", name="Build the dataset").click()
    name = page.locator("#id_dataset_name")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_accessible_description(re.compile("^This field may not be blank."))
    assert page.input_value("#id_prebuilt_train_images") == "/nowhere"
    name.fill("cats")
    page.get_by_role("button", name="Build the dataset").click()
    expect(name).not_to_have_attribute("aria-invalid", "true")


def test_a_half_typed_note_stays_when_the_job_ends(visit, make_dataset):
    errors = PageErrors()
    dataset = make_dataset(name="photos")
    page = visit(f"/datasets/{dataset.pk}")
    errors.listen(page)
    page.get_by_text("Rename, or write notes").click()
    page.get_by_label("Job notes").fill("half a thou")
    lifecycle.advance(dataset, Status.ERROR, error="The folder is empty.")
    expect(page.locator("h1")).to_contain_text("Error")
    expect(page.locator("#body")).to_contain_text("The folder is empty.")
    assert page.input_value("#id_job_notes") == "half a thou"
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved")
    dataset.refresh_from_db()
    assert dataset.notes == "half a thou"
    assert errors == []


def test_a_page_that_could_not_be_fetched_when_the_status_changed_is_fetched_again(visit, make_dataset):
    dataset = make_dataset(name="photos")
    page = visit(f"/datasets/{dataset.pk}")
    page.route(page.url, lambda route: route.fulfill(status=503, content_type="text/html", body="Busy"), times=1)
    with page.expect_response(lambda response: response.url == page.url and response.status == 503):
        lifecycle.advance(dataset, Status.ERROR, error="The folder is empty.")
    expect(page.locator("h1")).to_contain_text("Error")


def test_a_page_that_comes_later_than_a_newer_one_is_not_shown(visit, make_dataset):
    dataset, held = make_dataset(name="photos"), []
    page = visit(f"/datasets/{dataset.pk}")
    page.route(page.url, lambda route: route.continue_() if held else held.append((route, route.fetch())))
    lifecycle.advance(dataset, Status.RUNNING)
    while not held:
        page.wait_for_timeout(100)
    lifecycle.advance(dataset, Status.ERROR, error="The folder is empty.")
    expect(page.locator("h1")).to_contain_text("Error")
    route, response = held[0]
    with page.expect_event("requestfinished"):
        route.fulfill(response=response)
    page.wait_for_timeout(500)
    expect(page.locator("h1")).to_contain_text("Error")


def test_a_job_is_deleted_only_after_the_dialog_and_focus_returns_to_the_button(visit, make_dataset):
    page = visit(f"/datasets/{make_dataset(name='photos').pk}")
    delete = page.locator(".page-head").get_by_role("button", name="Delete")
    delete.click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete photos with its files?")
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    assert Dataset.objects.exists()
    delete.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/")
    assert not Dataset.objects.exists()


def test_the_home_page_remembers_the_columns_and_keeps_the_chosen_jobs(visit, make_dataset):
    first, second = make_dataset(name="first"), make_dataset(name="second")
    page = visit("/?tab=datasets")
    page.get_by_text("Columns").click()
    page.get_by_role("checkbox", name="Owner").uncheck()
    expect(page.get_by_role("columnheader", name="Owner")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("columnheader", name="Owner")).to_be_hidden()
    page.get_by_label("Choose second").check()
    page.get_by_role("link", name="Name").click()  # sorts without a new page
    expect(page.locator("tbody tr").first).to_contain_text("first")
    expect(page.get_by_label("Choose second")).to_be_checked()
    page.get_by_role("button", name="Abort").click()
    expect(page.get_by_role("row", name="second")).to_contain_text("Aborted")
    statuses = {job.name: Dataset.objects.get(pk=job.pk).status for job in (first, second)}
    assert statuses == {"first": Status.WAITING, "second": Status.ABORTED}


CHANGE = "document.dispatchEvent(new CustomEvent('digits:status', {detail: {}}))"  # as an event of the stream does


@pytest.mark.parametrize("part", ["jobs", "now"])
def test_a_change_is_shown_that_comes_while_the_home_page_asks_for_the_one_before(visit, make_dataset, part):
    make_dataset(name="first")
    page, held = visit("/?tab=datasets"), []
    page.route(f"**/pages/{part}*", lambda route: route.continue_() if held else held.append(route))
    while not held:
        page.evaluate(CHANGE)
        page.wait_for_timeout(100)
    page.evaluate(CHANGE)
    with page.expect_request(f"**/pages/{part}*", timeout=14_000):  # without the change it comes after 15 or 30 s
        held[0].continue_()


def test_a_refresh_of_the_home_page_does_not_undo_an_order_that_is_chosen_meanwhile(visit, make_dataset):
    for name in ("first", "second"):
        make_dataset(name=name)
    page, held = visit("/?tab=datasets"), []
    page.locator("#job-table").wait_for()
    page.route(
        "**/pages/jobs?*", lambda route: route.continue_() if "sort=name" in route.request.url else held.append(route)
    )
    while not held:
        page.evaluate(CHANGE)
        page.wait_for_timeout(100)
    with page.expect_event("requestfailed") as given_up:
        page.get_by_role("link", name="Name").click()
    assert given_up.value.url == held[0].request.url
    expect(page.locator("tbody tr").first).to_contain_text("first")


def test_the_filter_of_the_home_page_works_while_typing(visit, make_dataset):
    for name in ("cats", "dogs"):
        make_dataset(name=name)
    page = visit("/?tab=datasets")
    page.get_by_label("Filter").press_sequentially("dog")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label("Filter")).to_be_focused()


def test_a_term_is_explained_on_focus(visit):
    page = visit("/")
    term = page.get_by_role("button", name="category")
    term.focus()
    expect(page.get_by_role("tooltip")).to_contain_text("in a folder of images each subfolder is a category")


def test_forms_and_actions_work_without_scripts(visit, make_dataset):
    page = visit(f"/datasets/{make_dataset(name='photos').pk}", java_script_enabled=False)
    page.get_by_role("button", name="Abort").click()
    expect(page.locator("h1")).to_contain_text("Aborted")
    page.locator(".page-head").get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_contain_text("Delete 1 job?")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("Jobs")
    assert not Dataset.objects.exists()


def test_the_keyboard_reaches_the_content_by_the_first_tab(visit):
    page = visit("/about")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
