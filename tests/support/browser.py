"""Debian's Chromium, driven by Playwright. Playwright downloads no browser of its own."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium")
NO_CHROMIUM = "There is no chromium on this machine (apt-get install chromium)."
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a test picture
)
SCREENS = {
    "wide": {"viewport": {"width": 1300, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}

expect.set_options(timeout=30_000)  # Playwright's own 5 s are too few where all cores are busy


@pytest.fixture(scope="module")
def chromium():
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        # Playwright's event loop runs in this thread. Django would refuse synchronous database calls beside it.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=OPTIONS)
        yield browser
        browser.close()


class PageErrors(list):
    """Errors of a page: of its scripts, on its console, responses with an error status, and dialogs."""

    def listen(self, page):
        page.on("pageerror", lambda error: self.append(f"script: {error}"))
        page.on("console", lambda line: line.type in ("error", "warning") and self.append(f"console: {line.text}"))
        page.on("response", lambda reply: reply.status >= 400 and self.append(f"{reply.status}: {reply.url}"))
        page.on("dialog", lambda dialog: (self.append(f"dialog: {dialog.message}"), dialog.dismiss()))
