"""`make screenshots`: pictures of the pages, wide and narrow, light and dark, into docs/images.

A server of its own builds the demo's dataset and trains its model, and Chromium visits the pages.
"""

import os
import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from digits_project.common.terminal import Screen
from digits_project.demo.__main__ import SETTINGS
from digits_project.demo.walkthrough import Demo
from digits_project.stack.supervisor import Stack

FOLDER = Path(__file__).resolve().parent.parent / "docs/images"
SCREENS = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
MAX_HEIGHT = 1600  # pixels; a longer page is cut
QUALITY = 80  # of WebP
# The pages, by the names of their files; {dataset} and {model} are ids.
PAGES = {
    "home": "/?tab=models",
    "datasets": "/?tab=datasets",
    "new-dataset": "/datasets/images/classification",
    "dataset": "/datasets/{dataset}",
    "images": "/datasets/{dataset}/images",
    "report": "/datasets/{dataset}/report",
    "map": "/datasets/{dataset}/report/map",
    "new-model": "/models/images/classification?dataset={dataset}",
    "model": "/models/{model}",
    "evaluation": "/models/{model}/evaluation",
    "classify": "/models/images/classification/classify_one?job_id={model}",
    "about": "/about",
}


def main() -> int:
    """Make the pictures. Returns the exit status."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium on this machine (apt-get install chromium).", file=sys.stderr)
        return 1
    os.environ.update(SETTINGS)
    home = Path(tempfile.mkdtemp(prefix="digits-screenshots-"))
    home.chmod(0o711)  # PostgreSQL's user must reach its data
    try:
        with Stack(home, 0, print) as stack:
            demo = Demo(stack, Screen(sys.stdout))
            demo.write_images()
            demo.build_dataset()
            demo.train_model()
            ids = {"dataset": demo.dataset["id"], "model": demo.model["id"]}
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                await_following(browser, stack.url.rstrip("/"), ids)
                take(browser, stack.url.rstrip("/"), ids)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


# Jobs that follow others, each with what its page has once it is Done.
FOLLOWING = {"report": "#summary", "evaluation": ".figures"}
MAX_SECONDS = 300  # until they are Done


def await_following(browser: Browser, url: str, ids: dict[str, str]) -> None:
    """Wait until the report on the dataset and the evaluation of the model are Done."""
    page = browser.new_page()
    for name, part in FOLLOWING.items():
        page.goto(url + PAGES[name].format(**ids), wait_until="load")
        page.wait_for_selector(part, timeout=1000 * MAX_SECONDS)
    page.close()


def take(browser: Browser, url: str, ids: dict[str, str]) -> None:
    """Take the pictures of all pages."""
    FOLDER.mkdir(exist_ok=True)
    for screen, size in SCREENS.items():
        for scheme in SCHEMES:
            context = browser.new_context(viewport=size, color_scheme=scheme)
            page = context.new_page()
            for name, path in PAGES.items():
                page.set_viewport_size(size)
                page.goto(url + path.format(**ids), wait_until="load")
                page.wait_for_timeout(500)  # for charts and pictures that scripts draw
                height = page.evaluate("document.documentElement.scrollHeight")
                page.set_viewport_size({**size, "height": min(max(height, size["height"]), MAX_HEIGHT)})
                store(page.screenshot(), FOLDER / f"{name}-{screen}-{scheme}.webp")
            context.close()


def store(png: bytes, path: Path) -> None:
    """Store a picture as WebP."""
    Image.open(BytesIO(png)).convert("RGB").save(path, quality=QUALITY, method=6)


if __name__ == "__main__":
    sys.exit(main())
