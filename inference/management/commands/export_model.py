"""`manage.py export_model MODEL_ID`"""

import sys
from contextlib import closing
from pathlib import Path

from digits_project.common.errors import BadInput
from digits_project.jobs.console.command import ConsoleCommand, wrong
from inference import services
from inference.console.images_command import add_snapshot, chosen_snapshot
from inference.download.archive_stream import FORMS
from inference.download.contents import archive
from models_app.models import Snapshot


class Command(ConsoleCommand):
    help = (
        "Write everything that is needed to run a snapshot elsewhere into one archive, the same as the server's "
        "download: model.onnx, labels, mean, network, weights, and classify.py, which gives the same results as "
        "the server."
    )
    example = "20261125-120000-0c1a --form zip -o model.zip"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_snapshot(parser)
        parser.add_argument("--form", choices=list(FORMS), help="type of the archive [the suffix of FILE, else zip]")
        parser.add_argument(
            "--calibrated",
            action="store_true",
            help="let model.onnx give calibrated scores, by the temperature that an evaluation has fitted",
        )
        parser.add_argument(
            "-o",
            "--output",
            metavar="FILE",
            help="the file to write; - is standard output [<id>-epoch-<epoch>.<form>]",
        )

    def handle(self, **options):
        snapshot, name = chosen_snapshot(options), options["output"]
        form = options["form"] or next((form for form in FORMS if (name or "").endswith(f".{form}")), "zip")
        path = Path(name or f"{snapshot.trained_model_id}-epoch-{snapshot.epoch:g}.{form}")
        with closing(archive(snapshot, form, _temperature(snapshot) if options["calibrated"] else None)) as blocks:
            if name == "-":
                for block in blocks:
                    sys.stdout.buffer.write(block)
                return
            _write(path, blocks)
        if self.as_json:
            facts = {"file": str(path.absolute()), "bytes": path.stat().st_size, "epoch": snapshot.epoch}
            self.print_json({"model_id": snapshot.trained_model_id, **facts})
        else:
            self.stdout.write(str(path))


def _temperature(snapshot: Snapshot) -> float:
    try:
        return services.temperature_of(snapshot)
    except services.NotCalibrated as missing:
        raise wrong(str(missing)) from missing


def _write(path: Path, blocks) -> None:
    """Write the whole archive, or nothing."""
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            for block in blocks:
                file.write(block)
        aside.replace(path)
    except OSError as unwritable:
        raise BadInput(f"{path} can't be written: {unwritable.strerror}.") from unwritable
    finally:
        aside.unlink(missing_ok=True)
