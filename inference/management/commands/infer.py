"""`manage.py infer MODEL_ID IMAGE …`"""

import json

from inference.console.images_command import ImagesCommand
from inference.engine.predictor import plain


class Command(ImagesCommand):
    help = (
        "Run any network on any number of images. The outputs of each image are written as one line of JSON, in "
        "the order of the images. An unreadable image is reported on standard error and counted; the exit status "
        "is then 1."
    )
    example = "20261125-120000-0c1a photos/1.png photos/2.png"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="a line of JSON for each image; this is always so")

    def lines(self, snapshot, batches, predictor, options):
        for names, pixels in batches:
            outputs = predictor.outputs(pixels)
            for i, name in enumerate(names):
                values = {layer: plain(found[i]) for layer, found in outputs.items()}
                yield json.dumps({"image": str(name), "outputs": values})
