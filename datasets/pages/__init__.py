"""What only pages show of datasets. At the start of the server jobs.apps imports this package."""

from datasets.pages import dataset_listing

__all__ = ["dataset_listing"]
