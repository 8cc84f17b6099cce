"""What only pages need of datasets: lists, images, and a look at images before a dataset is built of them.

At the start of the server jobs.apps imports this package, so that the home page knows how to list datasets.
"""

from datasets.pages import dataset_listing

__all__ = ["dataset_listing"]
