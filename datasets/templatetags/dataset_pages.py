"""Template filters of the pages of datasets."""

from collections.abc import Mapping

from django import template

from datasets.api.page_texts import errors_of_page
from datasets.contents.revision_sections import reason_against
from datasets.models import Dataset
from digits_project.jobs.visibility import visible

register = template.Library()

SPLITS = {"train": "to train on", "val": "to validate with", "test": "to test with"}


@register.filter
def asking_for_images(wrong: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The errors of a form by the fields of its page."""
    return errors_of_page(wrong)


@register.filter
def image_name(split: str, record: int) -> str:
    """The name of an image, such as train/17."""
    return f"{split}/{record}"


@register.simple_tag
def categories_to_tick(dataset_id: str) -> list[str]:
    """The categories of a dataset whose images can be ticked for a revision; none if it can't be revised."""
    dataset = visible(Dataset).filter(pk=dataset_id).first()
    return dataset.category_names if dataset and not reason_against(dataset) else []


@register.filter
def item(values: Mapping, key: str):
    """The value of a key."""
    return values[key]


@register.filter
def split_title(name: str) -> str:
    """What a split is for."""
    return SPLITS.get(name, name)


@register.filter
def thousands(number: int) -> str:
    """A number with commas."""
    return f"{number:,}"
