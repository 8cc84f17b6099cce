"""`manage.py classify MODEL_ID IMAGE …`"""

import json

from digits_project.api.wire_format import predictions
from digits_project.common.escaping import csv_line
from digits_project.jobs.console.command import positive
from inference import services
from inference.console.images_command import ImagesCommand
from inference.engine.predictor import ranked


class Command(ImagesCommand):
    help = (
        "Classify any number of images with a snapshot. The results are written while the command works, one line "
        "for each image, in the order of the images. An unreadable image is reported on standard error and "
        "counted; the exit status is then 1."
    )
    example = (
        "20261125-120000-0c1a photos --recursive --top 3 --output answers.csv\n"
        "20261125-120000-0c1a 'scans/*.png' --format jsonl --snapshot-epoch best"
    )

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--top", type=positive, default=5, help="at most this many categories for each image [5]")
        parser.add_argument(
            "--format", choices=["csv", "jsonl"], default="csv", help="format of a line: values, or a JSON object [csv]"
        )
        parser.add_argument("--json", action="store_const", dest="format", const="jsonl", help="--format jsonl")

    def lines(self, snapshot, batches, predictor, options):
        categories = snapshot.trained_model.dataset.category_names
        most = min(options["top"], len(categories))
        as_csv = options["format"] == "csv"
        if as_csv:
            numbers = range(1, most + 1)
            yield csv_line(["image", *(f"{what}_{n}" for n in numbers for what in ("category", "percent"))])
        for names, pixels in batches:
            for name, row in zip(names, services.scores(snapshot, predictor, pixels), strict=True):
                best = ranked(row, categories, most)
                if as_csv:
                    yield csv_line([str(name), *(value for pair in best for value in pair)])
                else:
                    yield json.dumps({"image": str(name), "predictions": predictions(best)})
