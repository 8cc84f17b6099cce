"""The page of a new dataset in a browser: images of this computer, a folder of the server, reloads, errors."""

import re

import pytest

from datasets.models import Dataset
from digits_project.received import received_file
from tests.support.browser import CHROMIUM, NO_CHROMIUM, SCREENS, PageErrors, chromium
from tests.support.samples.archive_samples import digit_png, tar_of

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
    pytest.mark.usefixtures("open_server"),
]


@pytest.fixture
def photos(tmp_path):
    """A folder of this computer with two categories of handwritten digits."""
    folder = tmp_path / "photos"
    for digit in (3, 7):
        (folder / f"category {digit}").mkdir(parents=True)
        for number in range(8):
            (folder / f"category {digit}" / f"{number}.png").write_bytes(digit_png(digit, number))
    return folder


@pytest.fixture
def errors():
    """The errors of the pages, which a test compares with those that it expects."""
    return PageErrors()


@pytest.fixture
def open_page(transactional_db, chromium, live_server, errors):
    """A function that opens the page of a new dataset on a screen."""
    contexts = []

    def open_page(screen):
        contexts.append(chromium.new_context(**SCREENS[screen]))
        page = contexts[-1].new_page()
        errors.listen(page)
        page.goto(f"{live_server.url}/datasets/images/classification")
        return page

    yield open_page
    for context in contexts:
        context.close()


def made_of(page):
    """The dataset that the page makes, after its own page has opened."""
    page.wait_for_url("**/datasets/2*")
    return Dataset.objects.get()


def test_a_folder_of_this_computer_becomes_a_dataset_with_two_clicks(open_page, photos, errors):
    page = open_page("wide")
    page.locator("#folder-input").set_input_files(photos)
    page.get_by_text("16 images in 2 categories").wait_for()
    assert page.get_by_label("Name required").input_value() == "photos"
    assert page.get_by_label("Width").input_value() == "8"
    page.get_by_role("button", name="Create the dataset").click()
    dataset = made_of(page)
    assert (dataset.archive_train, dataset.resize_width, dataset.resize_channels) == ("photos", 8, 1)
    assert received_file.all_received() == []
    assert errors == []


def test_an_upload_goes_on_by_itself_after_a_lost_connection_and_where_it_stopped_after_a_reload(open_page, photos):
    page, offsets, lost = open_page("wide"), [], {2, 4, 5, 6, 7, 8}

    def send_some(route):
        offsets.append(int(route.request.headers["upload-offset"]))
        route.abort() if len(offsets) in lost else route.continue_()

    page.route("**/uploads/*", lambda route: send_some(route) if route.request.method == "PATCH" else route.continue_())
    for number in (1, 2):
        page.evaluate("document.getElementById('new-dataset').dataset.piece = 4000")
        page.locator("#folder-input").set_input_files(photos)
        if number == 1:
            page.get_by_text(re.compile("8 kB of .* the connection is lost")).wait_for()
            page.reload()
            page.get_by_text("choose the same files again").wait_for()
            lost.clear()
    page.get_by_text("16 images in 2 categories").wait_for()
    assert offsets[:4] == [0, 4000, 4000, 8000]
    assert offsets[-3:] == [8000, 12000, 16000]


def test_what_was_chosen_and_typed_stays_after_an_error_and_a_reload(open_page, photos):
    page = open_page("wide")
    page.locator("#folder-input").set_input_files(photos)
    page.get_by_text("16 images in 2 categories").wait_for()
    page.get_by_label("Width").fill("0")
    page.get_by_role("button", name="Create the dataset").click()
    page.get_by_text("Ensure this value is greater than or equal to 1.").first.wait_for()
    assert page.locator("#id_resize_width").get_attribute("aria-invalid") == "true"
    assert page.get_by_label("Name required").input_value() == "photos"
    page.reload()
    page.get_by_text("photos: 16 files").wait_for()
    assert page.get_by_label("Width").input_value() == "0"
    page.get_by_label("Width").fill("16")
    page.get_by_role("button", name="Create the dataset").click()
    assert made_of(page).archive_train == "photos"


def test_a_folder_of_the_server_becomes_a_dataset_by_the_keyboard_on_a_phone(open_page, photos, settings, errors):
    settings.DIGITS_DATA_ROOTS = [photos.parent]
    page = open_page("phone")
    press = page.keyboard.press
    page.get_by_label("On this computer").focus()
    press("ArrowDown")
    press("Tab")
    press("Tab")
    press("Enter")
    page.get_by_role("button", name="photos").wait_for()
    page.get_by_role("button", name="photos").press("Enter")
    page.get_by_text("category 3").wait_for()
    page.get_by_role("button", name="Use this folder").press("Enter")
    page.get_by_text("16 images in 2 categories").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_label("Name required").press("Enter")
    assert (made_of(page).folder_train, errors) == (str(photos), [])


def test_loose_images_get_the_category_that_is_named_for_them(open_page, photos):
    page = open_page("wide")
    for name, folder in (("threes", "category 3"), ("sevens", "category 7")):
        page.locator("#files-input").set_input_files(sorted((photos / folder).iterdir()))
        page.get_by_label("Category", exact=True).fill(name)
        page.get_by_role("button", name="Add").click()
    page.get_by_text("16 images in 2 categories").wait_for()
    assert page.locator(".found b").all_inner_texts() == ["sevens", "threes"]


def test_an_earlier_upload_can_be_used_and_another_one_deleted(open_page, errors):
    content = tar_of({f"{digit}/{number}.png": digit_png(digit, number) for digit in (3, 7) for number in range(4)})
    for name in ("older", "pets"):
        upload = received_file.begin("", len(content), name)
        upload.content.write_bytes(content)
    page = open_page("wide")
    page.get_by_text("Earlier uploads").click()
    page.get_by_role("listitem").filter(has_text="older").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Use").click()
    page.get_by_text("8 images in 2 categories").wait_for()
    assert page.get_by_label("Name required").input_value() == "pets"
    assert [left.name for left in received_file.all_received()] == ["pets"]
    assert errors == []


def test_the_images_of_a_dataset_open_large_and_the_arrow_keys_lead_on(open_page, live_server, make_built, errors):
    dataset, page = make_built(), open_page("wide")
    page.goto(f"{live_server.url}/datasets/{dataset.pk}/images?category=3")
    page.locator(".grid a").nth(1).click()
    page.get_by_text("2 of 9").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("3 of 9").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.matches('.grid a')")
    page.keyboard.press("ArrowRight")
    links = page.locator(".grid a")
    assert links.nth(2).evaluate("(link) => link === document.activeElement")
    assert errors == []
