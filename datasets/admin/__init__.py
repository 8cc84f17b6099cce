"""The admin pages of datasets. Django finds them by importing this package."""

from datasets.admin import dataset_admin

__all__ = ["dataset_admin"]
