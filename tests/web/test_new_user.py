"""The way of a new user in a browser: from a folder of photos on this computer, on an empty server, to a model and the
photos that it doubts. By mouse, by the keyboard alone, and on a phone."""

import pytest

from tests.support.browser import CHROMIUM, NO_CHROMIUM, SCREENS, PageErrors, chromium
from tests.support.samples.imagedb_samples import write_digits
from tests.support.server import RunningServer
from tests.support.services import temporary_home

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.slow(40),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]
MAX_CLICKS = 12
MAX_TABS = 150  # from one control to the next
MAX_BYTES = 300_000  # of the first page with everything that it loads
CATEGORIES, EACH, MISPLACED = 6, 50, 5


@pytest.fixture(scope="module")
def server():
    """An empty server with its workers."""
    with temporary_home() as home, RunningServer(home, 0, DIGITS_AUTH="open") as server:
        yield server


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Some hundred photos of handwritten digits, of which some are in the folder of another digit."""
    folder = write_digits(tmp_path_factory.mktemp("photos") / "my digits", dict.fromkeys(range(CATEGORIES), EACH))
    for digit in range(CATEGORIES):
        for photo in sorted((folder / str(digit)).iterdir())[:MISPLACED]:
            photo.rename(folder / str((digit + 1) % CATEGORIES) / f"misplaced-{photo.name}")
    return folder


class Mouse:
    """Clicks on what a page shows, and counts the clicks."""

    def __init__(self, page):
        self.page = page
        self.clicks = 0

    def press(self, role, name):
        self.page.get_by_role(role, name=name, exact=True).first.click()
        self.clicks += 1


class Keyboard(Mouse):
    """Goes to what a page shows by the tabulator, and presses Enter there."""

    def press(self, role, name):
        wanted = self.page.get_by_role(role, name=name, exact=True).first
        wanted.wait_for()
        assert any(self._has_come_to(wanted) for _ in range(MAX_TABS)), f"the keyboard does not reach {name}"
        self.page.keyboard.press("Enter")
        self.clicks += 1

    def _has_come_to(self, wanted):
        self.page.keyboard.press("Tab")
        return wanted.evaluate("(element) => element === document.activeElement")


@pytest.fixture
def open_page(chromium):
    """A function that opens a browser without any memory on a screen."""
    contexts = []

    def open_page(screen):
        contexts.append(chromium.new_context(**SCREENS[screen]))
        contexts[-1].set_default_timeout(120_000)
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize(
    "screen, hand", [("wide", Mouse), ("wide", Keyboard), ("phone", Mouse)], ids=["mouse", "keyboard", "phone"]
)
def test_a_new_user_gets_a_model_and_the_doubtful_photos(server, open_page, photos, screen, hand):
    page, errors, sizes, hosts = open_page(screen), PageErrors(), [], set()
    errors.listen(page)
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(server.url, wait_until="networkidle")
    assert 0 < sum(sizes) <= MAX_BYTES
    hand = hand(page)
    hand.press("link", "New dataset")
    with page.expect_file_chooser() as chooser:
        hand.press("button", "Choose a folder")
    chooser.value.set_files(photos)
    page.get_by_role("heading", name=f"{CATEGORIES * EACH} images in {CATEGORIES} categories").wait_for()
    hand.press("button", "Create the dataset")
    hand.press("link", "Train a model on this")
    hand.press("button", "Train")
    page.get_by_role("heading", name="Surest errors").wait_for(timeout=300_000)  # after training, report and evaluation
    accuracy = page.locator("#evaluation dd").first.inner_text()
    assert float(accuracy.removesuffix(" %")) >= 80
    assert page.locator("#evaluation .thumbnails img").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") == SCREENS[screen]["viewport"]["width"]
    assert hand.clicks <= MAX_CLICKS
    assert (errors, len(hosts)) == ([], 1)
