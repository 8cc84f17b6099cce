"""The form of a revision: images to leave out, and images that get another category."""

from __future__ import annotations

import re
from collections.abc import Mapping

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.imagedb import Changes
from digits_project.api.forms import Form
from digits_project.common.confined_files import shown

MAX_CHANGES = 1_000_000  # images of one revision
_EXAMPLE = "Write an image as train/17: its split, and the number of its record."


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class ImageNames(serializers.Field):
    """Names of images: a list, or a text with one on each line."""

    default_error_messages = {"invalid": f"Send a list of images. {_EXAMPLE}"}

    def to_internal_value(self, data):
        names = re.split(r"[\s,]+", data.strip()) if isinstance(data, str) else data
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            self.fail("invalid")
        return [name for name in names if name]

    def to_representation(self, value):
        return list(value)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class NewCategories(serializers.Field):
    """The new categories of images: an object, or a text or a list with `train/17=cat` on each line."""

    default_error_messages = {
        "invalid": f'Send an object with the new category of each image, such as {{{{"train/17": "cat"}}}}. {_EXAMPLE}',
        "line": "{line} is not of the form train/17=cat: an image, an equals sign, and its new category.",
        "twice": "{image} gets two categories.",
    }

    def to_internal_value(self, data):
        if isinstance(data, Mapping):
            if not all(isinstance(category, str) for category in data.values()):
                self.fail("invalid")
            return {str(image): category for image, category in data.items()}
        lines = data.splitlines() if isinstance(data, str) else data
        if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
            self.fail("invalid")
        return self._of_lines([line for line in lines if line.strip()])

    def to_representation(self, value):
        return dict(value)

    def _of_lines(self, lines: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in lines:
            image, is_there, category = (part.strip() for part in line.partition("="))
            if not (image and is_there and category):
                self.fail("line", line=shown(line.strip()))
            if found.setdefault(image, category) != category:
                self.fail("twice", image=shown(image))
        return found


class RevisionForm(Form):
    """The form of POST /datasets/<id>/revisions."""

    dataset_name = serializers.CharField(
        default="", max_length=255, help_text="The name of the new dataset; empty: the old one's, with a number."
    )
    exclude = ImageNames(
        default=[],
        style={"base_template": "textarea.html", "title": "Leave out", "default": ""},
        help_text="The images that are left out, such as `train/17`: the split, and the number of the record there.",
    )
    relabel = NewCategories(
        default={},
        style={"base_template": "textarea.html", "title": "Give another category", "default": ""},
        help_text="The images that get another category of the dataset: `train/17=cat`, or an object in JSON.",
    )

    def for_page(self):
        self.fields["dataset_name"].style = {"title": "Name"}
        self.fields["exclude"].help_text = "One image on each line, such as train/17: its split and its number there."
        self.fields["relabel"].help_text = "One image on each line with its new category, such as train/17=cat."

    def validate(self, form):
        if len(form["exclude"]) + len(form["relabel"]) > MAX_CHANGES:
            raise serializers.ValidationError(f"A revision changes at most {MAX_CHANGES:,} images.")
        return {"name": form["dataset_name"], "changes": Changes(tuple(form["exclude"]), form["relabel"])}
