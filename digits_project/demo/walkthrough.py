"""The steps of `make demo`: from folders of handwritten digits to a trained classifier, over HTTP as any client.

The demo starts the whole server on DIGITS_HOME, shows every request as a curl command, and stops the server again. The
jobs stay.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from digits_project.common.terminal import Screen
from digits_project.demo.client import DemoFailed, Request
from digits_project.stack.supervisor import Stack

SIDE, DIGIT_SIDE = 28, 20  # pixels
MARGIN = (SIDE - DIGIT_SIDE) // 2
DATASET_SIDE = 32  # of the images that the dataset keeps; LeNet takes SIDE
NETWORK = {"standard_networks": "lenet", "input_size": SIDE, "train_epochs": 10, "batch_size": 32, "random_seed": 1}
SOLVER = {"lr_policy": "poly", "lr_poly_power": 1}
MIN_ACCURACY = 0.97
POLL_SECONDS = 0.2
STALLED_SECONDS = 180  # without any change of a job
ABORT_SECONDS = 5

ENDED = ("Done", "Aborted", "Error")


class Demo:
    """The demo on a running stack. Each method is a step, and raises DemoFailed."""

    def __init__(self, stack: Stack, screen: Screen):
        self.stack = stack
        self.screen = screen
        self.seconds: dict[str, float] = {}
        self.dataset: dict = {}
        self.model: dict = {}
        self.accuracy = 0.0

    @contextlib.contextmanager
    def phase(self, name: str, heading: str) -> Iterator[None]:
        """Print `heading`, run the `with` block, and store the seconds that it took under `name`."""
        self.screen.heading(heading)
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began

    def write_images(self) -> None:
        with self.phase("images", "Real images: scikit-learn's handwritten digits"):
            self.folder = self.stack.home / "demo" / "digits"
            count = write_digits(self.folder)
            self.screen.line(f"{count:,} PNG files in {shown(self.folder)}, one subfolder a category: 0 to 9")

    def build_dataset(self) -> None:
        with self.phase("dataset", "Build a dataset"):
            fields = {"dataset_name": "Handwritten digits", "folder_train": self.folder}
            fields |= {"resize_width": DATASET_SIDE, "resize_height": DATASET_SIDE, "resize_channels": 1}
            self.dataset = self._run("datasets", fields, lambda job: None)
            parsed = self.dataset["ParseFolderTasks"][0]
            self.screen.line(
                f"{parsed['train_count']:,} images to train on, {parsed['val_count']:,} to validate with, "
                f"{parsed['label_count']} categories, as images of {DATASET_SIDE}×{DATASET_SIDE} pixels"
            )

    def train_model(self) -> None:
        heading = f"Train LeNet on it, with an input_size of {SIDE}: images are scaled to {SIDE}×{SIDE}"
        with self.phase("training", heading):
            table = Table(self.screen)
            fields = {"model_name": "LeNet on digits", "dataset": self.dataset["id"], **NETWORK, **SOLVER}
            self.model = self._run("models", fields, table.update)
        self.accuracy = self.model["val_outputs"]["accuracy"][-1]
        if self.accuracy < MIN_ACCURACY:
            raise DemoFailed(
                f"The validation accuracy is {percent(self.accuracy)}, less than {percent(MIN_ACCURACY)}.\n"
                f"The model's folder: {self.model['directory']}"
            )

    def classify(self) -> None:
        with self.phase("classification", "Classify an image that was not used for training"):
            image, category = image_to_classify(Path(self.dataset["directory"]))
            url = f"{self.stack.url}models/images/classification/classify_one.json"
            predictions = self._ask(Request(url, {"job_id": self.model["id"]}, {"image_file": image}))["predictions"]
            best = next(iter(predictions))
            rows = [f"{name}  {share:6.2f} %" for name, share in predictions.items()]
            verdict = "right" if best == category else f"wrong: it is a {category}"
            with Image.open(image) as picture:
                digit = picture.crop((MARGIN, MARGIN, MARGIN + DIGIT_SIDE, MARGIN + DIGIT_SIDE))
                text = "\n".join([*rows, "", f"Predicted: {best}, {verdict}"])
                self.screen.side_by_side(self.screen.picture(digit), text)

    def _ask(self, request: Request) -> dict:
        self.screen.command(request.curl())
        return request.json()

    def _run(self, kind: str, fields: dict, look: Callable[[dict], None]) -> dict:
        """Create a job and poll it until it is Done; `look(job)` is called for every response."""
        job = self._ask(Request(f"{self.stack.url}{kind}/images/classification.json", fields))
        poll = Request(f"{self.stack.url}{kind}/{job['id']}.json")
        self.screen.command(poll.curl())
        try:
            return self._follow(kind, poll, look)
        except KeyboardInterrupt:
            self._abort(kind, job["id"])  # otherwise it would go on at the next start
            raise

    def _follow(self, kind: str, poll: Request, look: Callable[[dict], None]) -> dict:
        began = changed = time.monotonic()
        job: dict = {}
        while job.get("status") not in ENDED:
            before, job = job, poll.json()
            look(job)
            self.screen.progress(job["status"], job.get("progress", 1.0), began)
            self.stack.tend()
            now = time.monotonic()
            changed = now if job != before else changed
            if now - changed > STALLED_SECONDS:
                raise DemoFailed(f"Nothing has happened for {STALLED_SECONDS} s. {self._where(kind, job)}")
            time.sleep(POLL_SECONDS)
        if job["status"] != "Done":
            reason = job.get("error", "it was aborted")
            raise DemoFailed(f"{job['name']} is {job['status']}: {reason}\n{self._where(kind, job)}")
        return job

    def _where(self, kind: str, job: dict) -> str:
        worker = "worker-io" if kind == "datasets" else "worker-train"
        return f"Its worker's log: {self.stack.logs / worker}.log\nIts folder, with its own log: {job['directory']}"

    def _abort(self, kind: str, job_id: str) -> None:
        job = f"{self.stack.url}{kind}/{job_id}"
        with contextlib.suppress(DemoFailed):  # it has ended, or the server is stopping too
            Request(f"{job}/abort.json", {}).send()
            deadline = time.monotonic() + ABORT_SECONDS
            while Request(f"{job}.json").json()["status"] not in ENDED and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)


class Table:
    """A table of loss and accuracy; each epoch gets a row as soon as it is validated."""

    def __init__(self, screen: Screen):
        self.screen = screen
        self.rows = 0

    def update(self, model: dict) -> None:
        """Print the new epochs of a GET /models/<id>.json."""
        val, train = model.get("val_outputs", {"epoch": []}), model.get("train_outputs", {"epoch": [], "loss": []})
        for row in range(self.rows, len(val["epoch"])):
            if row == 0:
                self.screen.line("epoch   training loss   validation loss   validation accuracy")
            epoch, loss, accuracy = (val[name][row] for name in ("epoch", "loss", "accuracy"))
            since = val["epoch"][row - 1] if row else 0
            trained = [x for e, x in zip(train["epoch"], train["loss"], strict=True) if since < e <= epoch]
            bar = self.screen.bar(loss / val["loss"][0], 14)
            losses = f"{statistics.mean(trained):.4f}", f"{loss:.4f}"
            self.screen.row((str(epoch), *losses, "", bar, percent(accuracy)), (5, 13, 16, 1, 14, 11))
        self.rows = len(val["epoch"])


def write_digits(folder: Path) -> int:
    """Write the 1,797 digits (8×8 pixels from 0 to 16) as folder/<digit>/<number>.png. Returns their number.

    As in MNIST, for which LeNet was designed, a digit is DIGIT_SIDE pixels high in the middle of SIDE×SIDE pixels.
    """
    digits = load_digits()
    for category in range(10):
        (folder / str(category)).mkdir(parents=True, exist_ok=True)
    for number, (pixels, category) in enumerate(zip(digits.images, digits.target, strict=True)):
        digit = Image.fromarray(np.rint(pixels * 255 / 16).astype(np.uint8))
        digit = digit.resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC)
        image = Image.new("L", (SIDE, SIDE))
        image.paste(digit, (MARGIN, MARGIN))
        image.save(folder / str(category) / f"{number:04}.png")
    return len(digits.images)


def image_to_classify(dataset: Path) -> tuple[Path, str]:
    """The image in the middle of a dataset's validation split, and its category."""
    lines = (dataset / "val.txt").read_text().splitlines()
    path, label = lines[len(lines) // 2].rsplit(" ", 1)
    return Path(path), (dataset / "labels.txt").read_text().splitlines()[int(label)]


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def shown(path: Path) -> str:
    """The path relative to the current folder if possible."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
