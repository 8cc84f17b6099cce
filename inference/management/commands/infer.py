"""`manage.py infer MODEL_ID IMAGE …`"""

import json

from inference.console.images_command import ImagesCommand
from inference.engine.predictor import plain


class Command(ImagesCommand):
    help = (
        "Ask any network about images, any number of them: for each a line of JSON with the values of the network's "
        "outputs, in the order of the images. What can't be read is told on standard error and counted; the exit "
        "status is 1 then."
    )
    example = "20261125-120000-0c1a photos/1.png photos/2.png"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="a line of JSON for each image, as it is anyway")

    def lines(self, snapshot, batches, predictor, options):
        for names, pixels in batches:
            outputs = predictor.outputs(pixels)
            for i, name in enumerate(names):
                values = {layer: plain(found[i]) for layer, found in outputs.items()}
                yield json.dumps({"image": str(name), "outputs": values})
