"""The page of a new dataset in a browser: images of this computer, a folder of the server, reloads, errors."""

import pytest

from datasets.models import Dataset
from digits_project.received import received_file
from tests.support.browser import CHROMIUM, NO_CHROMIUM, SCREENS, PageErrors, chromium
from tests.support.samples.archive_samples import digit_png

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


@pytest.fixture(params=["wide"])
def page(transactional_db, chromium, live_server, errors, request):
    """The page of a new dataset."""
    with chromium.new_context(**SCREENS[request.param]) as context:
        page = context.new_page()
        errors.listen(page)
        page.goto(f"{live_server.url}/datasets/images/classification")
        yield page


def test_a_folder_of_this_computer_becomes_a_dataset_with_two_clicks(page, photos, errors):
    page.locator("#folder-input").set_input_files(photos)
    page.get_by_text("16 images in 2 categories").wait_for()
    assert page.get_by_label("Name required").input_value() == "photos"
    assert page.get_by_label("Width").input_value() == "8"
    page.get_by_role("button", name="Create the dataset").click()
    page.wait_for_url("**/datasets/2*")
    dataset = Dataset.objects.get()
    assert (dataset.archive_train, dataset.resize_width, dataset.resize_channels) == ("photos", 8, 1)
    assert received_file.all_received() == []
    assert errors == []
