"""`manage.py classify MODEL_ID IMAGE …`"""

import json
from argparse import ArgumentTypeError

from digits_project.api.wire_format import predictions
from digits_project.common.escaping import csv_line
from digits_project.jobs.console.command import positive, wrong
from inference import services
from inference.certainty import certainties, how_to_fit
from inference.console.images_command import ImagesCommand
from inference.engine.predictor import ranked

AUTO = "auto"
NO_THRESHOLD = "This snapshot has no threshold: give a number instead of auto. {}"


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
        parser.add_argument(
            "--unsure-below",
            type=_threshold,
            metavar="CONFIDENCE",
            help="say of each image whether the answer is unsure: its confidence, calibrated if the snapshot was "
            "evaluated, is below this number from 0 to 1; auto: the threshold that the evaluation has chosen",
        )
        parser.add_argument("--json", action="store_const", dest="format", const="jsonl", help="--format jsonl")

    def lines(self, snapshot, batches, predictor, options):
        categories = snapshot.trained_model.dataset.category_names
        most = min(options["top"], len(categories))
        as_csv = options["format"] == "csv"
        asked = options["unsure_below"]
        if asked == AUTO and snapshot.unsure_below is None:
            raise wrong(NO_THRESHOLD.format(how_to_fit(snapshot)))
        if as_csv:
            numbers = range(1, most + 1)
            columns = [f"{what}_{n}" for n in numbers for what in ("category", "percent")]
            yield csv_line(["image", *columns, *(["unsure"] if asked is not None else [])])
        for names, pixels in batches:
            scores = services.scores(snapshot, predictor, pixels)
            judged = certainties(snapshot, scores, None if asked == AUTO else asked)
            for name, row, certainty in zip(names, scores, judged, strict=True):
                best = ranked(row, categories, most)
                unsure = {} if asked is None else {"unsure": certainty.unsure}
                if as_csv:
                    pairs = (value for pair in best for value in pair)
                    yield csv_line([str(name), *pairs, *(str(value).lower() for value in unsure.values())])
                else:
                    yield json.dumps({"image": str(name), "predictions": predictions(best), **unsure})


def _threshold(text: str) -> float | str:
    if text == AUTO:
        return AUTO
    try:
        threshold = float(text)
    except ValueError:
        threshold = -1
    if not 0 <= threshold <= 1:
        raise ArgumentTypeError(f"{text} is neither a number from 0 to 1 nor {AUTO}")
    return threshold
