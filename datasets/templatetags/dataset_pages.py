"""Template filters of the pages of datasets."""

from collections.abc import Mapping

from django import template

from datasets.api.page_texts import errors_of_page

register = template.Library()

SPLITS = {"train": "to train on", "val": "to validate with", "test": "to test with"}


@register.filter
def asking_for_images(wrong: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The errors of a form by the fields of its page."""
    return errors_of_page(wrong)


@register.filter
def image_name(image: Mapping) -> str:
    """The name of an image of a finding, such as train/17."""
    return f"{image['split']}/{image['record']}"


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
