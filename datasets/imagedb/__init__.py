"""The engine that turns folders of images into image databases. Plain Python: it knows nothing of the server."""

from datasets.imagedb.build import build, check, check_folder
from datasets.imagedb.images import BadImage
from datasets.imagedb.spec import Built, Source, Spec, Split

__all__ = ["BadImage", "Built", "Source", "Spec", "Split", "build", "check", "check_folder"]
