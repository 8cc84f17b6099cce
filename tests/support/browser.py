"""Debian's Chromium, driven by Playwright, which downloads no browser of its own."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium")
WITHOUT = "There is no chromium on this machine (apt-get install chromium)."
QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENS = {
    "wide": {"viewport": {"width": 1300, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}},
    "dark": {"viewport": {"width": 1300, "height": 900}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def chromium():
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        # Playwright's loop runs in this thread, and Django takes that for a program that must not wait.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=QUIETLY)
        yield browser
        browser.close()


class Complaints(list):
    """What a page has to complain about: errors of its scripts, messages on its console, answers that failed."""

    def listen(self, page):
        page.on("pageerror", lambda error: self.append(f"script: {error}"))
        page.on("console", lambda said: said.type in ("error", "warning") and self.append(f"console: {said.text}"))
        page.on("response", lambda reply: reply.status >= 400 and self.append(f"{reply.status}: {reply.url}"))
        page.on("dialog", lambda dialog: (self.append(f"dialog: {dialog.message}"), dialog.dismiss()))
