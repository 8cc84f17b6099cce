"""The base of commands that run a snapshot on any number of images: constant memory, one line per image, in order."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

from datasets.imagedb.images.confined import opener
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput
from digits_project.jobs.console.command import ConsoleCommand, Exit, job_of, wrong
from inference import services
from inference.console import image_files
from inference.engine.batches import Batches
from inference.engine.predictor import Predictor
from models_app.models import Snapshot, TrainedModel
from models_app.results import Which, which_snapshot

REPORT_SECONDS = 0.3


class ImagesCommand(ConsoleCommand):
    """Reads images with the rights of the calling user, not only in the data roots."""

    def add_arguments(self, parser):
        add_snapshot(parser)
        parser.add_argument(
            "images",
            nargs="+",
            metavar="IMAGE",
            help="a file, a folder, a quoted pattern, or - to read a list from stdin",
        )
        parser.add_argument("--recursive", action="store_true", help="search folders with their subfolders")
        parser.add_argument("--output", metavar="FILE", help="the file for the results [standard output]")

    def lines(self, snapshot: Snapshot, batches: Batches[Path], predictor: Predictor, options) -> Iterator[str]:
        """The result lines, one for each image that could be read."""
        raise NotImplementedError

    def handle(self, **options):
        snapshot = chosen_snapshot(options)
        predictor, read = services.predictor(snapshot), services.reader(snapshot, opener(EVERYWHERE))
        names = image_files.image_files(options["images"], options["recursive"], sys.stdin.buffer)
        batches = Batches(names, read, predictor.most_images, self._report_unreadable)
        began = self._reported = time.monotonic()
        with self._output(options["output"]) as output:
            try:
                for line in self.lines(snapshot, batches, predictor, options):
                    output.write(line + "\n")
                    self._show(batches, began)
                output.flush()
            except services.CanNotClassify as no:
                raise wrong(str(no)) from no
            except BadInput:
                if batches.loaded or not batches.skipped:
                    raise wrong(
                        "There is no image in the named files and folders; --recursive also searches subfolders."
                    ) from None
        self._report_end(batches, began)

    @contextmanager
    def _output(self, name: str | None) -> Iterator[TextIO]:
        if name is None:
            self.stdout.ending = ""
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(errors="surrogateescape")  # likewise a name's bytes
            yield cast(TextIO, self.stdout)
            return
        try:
            # A name that is not UTF-8 keeps its bytes in CSV; JSON writes them as escapes.
            with Path(name).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                yield file
        except OSError as unwritable:
            raise wrong(f"{name} can't be written: {unwritable.strerror}.") from unwritable

    def _report_unreadable(self, name: Path, fault: BadInput) -> None:
        self.screen.line(f"{shown(name)}: {fault}")

    def _show(self, batches: Batches, began: float) -> None:
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            self.screen.passing(_summary(batches, now - began))

    def _report_end(self, batches: Batches, began: float) -> None:
        self.screen.line(_summary(batches, time.monotonic() - began))
        self.end(Exit.FAILED if batches.skipped else Exit.DONE)


def add_snapshot(parser) -> None:
    parser.add_argument("model_id", metavar="MODEL_ID", help="the model's id, as manage.py jobs --kind models lists it")
    text = "an epoch, best or latest [the latest while the model trains, the best once it is Done]"
    parser.add_argument("--snapshot-epoch", default="", metavar="EPOCH", help=text)


def chosen_snapshot(options) -> Snapshot:
    """The snapshot that the options name. Raises CommandError."""
    model = job_of(options["model_id"], TrainedModel)
    try:
        return services.find_snapshot(model.pk, which_of(options))
    except (services.NoSnapshot, services.NoSuchSnapshot) as none:
        raise wrong(str(none)) from none


def which_of(options) -> Which:
    """The value of --snapshot-epoch. Raises CommandError."""
    asked = options["snapshot_epoch"]
    try:
        return which_snapshot(asked)
    except ValueError:
        raise wrong(f"--snapshot-epoch must be an epoch, best or latest, not {asked}.") from None


def shown(name: Path) -> str:
    text = str(name)
    return text if text.isprintable() else ascii(text)


def _summary(batches: Batches, seconds: float) -> str:
    speed = f"{batches.loaded / seconds:,.0f} images a second" if seconds else ""
    failed = f", {batches.skipped:,} could not be read" if batches.skipped else ""
    return f"{batches.loaded:,} images, {speed}{failed}"
