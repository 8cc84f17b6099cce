"""Source, the base class of the ways to give a dataset its images, and their registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db.models import Field, Model
from rest_framework import serializers

from datasets import imagedb
from digits_project.api.forms import Form
from digits_project.common import declarations

if TYPE_CHECKING:
    from datasets.models import Dataset

MAX_NAME = 8  # characters: the length of the column `method`


class SourceForm(Form):
    """The fields that only one source has. The form of a route has them beside the fields of the dataset itself.

    `fields_for` and `wrong_together` are those of every form; a route's form calls them for the chosen source.
    """

    def columns(self, values: dict) -> dict:
        """The valid `values` of the route's form as arguments of create_dataset."""
        return values


class Source:
    """One way to provide the images of a dataset.

    name: the value of `method` in forms and in the column, such as "folder"; at most 8 characters.
    label: its name in the filter of the admin.
    description: its part of the help text of `method`.
    kind: the name of the kind of datasets that it can make (datasets.kinds).
    form: the fields that only this source has.
    columns: {name: column} of the dataset's table; a new column needs a migration.
    paths: the columns that hold paths of the server.
    is_in_forms: whether the forms offer it; else a route of its own makes its datasets.
    has_report: whether a report is made after each build, if the server makes reports.
    """

    name: str
    label: str
    description: str
    kind: str
    form: type[SourceForm] = SourceForm
    columns: Mapping[str, Field] = {}
    paths: tuple[str, ...] = ()
    is_in_forms = True
    has_report = True

    @cached_property
    def field_names(self) -> frozenset[str]:
        """The names of the fields of its form."""
        return frozenset(self.form().names())

    def check(self, dataset: Dataset) -> None:
        """Check the columns of a new row together. Raises Django's ValidationError."""

    def spec(self, dataset: Dataset) -> Any:
        """The value that the engine builds from: imagedb.Spec, or PrebuiltSpec for a generic kind. Raises BadInput."""
        raise NotImplementedError

    def build(self, dataset: Dataset, report: Callable[[float], None]) -> imagedb.Built:
        """Build a dataset for classification in its folder. Raises BadInput."""
        return imagedb.build(self.spec(dataset), dataset.directory, report)

    def keep_files(self, dataset: Dataset, files: Mapping) -> None:
        """Copy the files of the form (`files` of create_dataset) into the new job's folder.

        Raises Django's ValidationError or LimitReached.
        """

    def drop_files(self, dataset: Dataset) -> None:
        """Remove the files that a Done dataset no longer needs, because it is never built again."""

    def has_own_images(self, dataset: Dataset) -> bool:
        """Whether the images were sent with the form, so that a further build can't find others."""
        return False

    def form_values(self, dataset: Dataset) -> dict:
        """Values of form fields that are not columns, with which the form would make the same row again."""
        return {}

    def describe_parsed(self, dataset: Dataset) -> list[dict]:
        """The tasks of a built dataset that looked for its images, under DIGITS's names."""
        return [describe_parse("Parse Folder", dataset.splits, len(dataset.categories))]


SOURCES: dict[str, Source] = {}  # by name


def register(source: Source) -> Source:
    """Add a source, after those that are registered already."""
    return declarations.add(SOURCES, source, "a source {!r}", MAX_NAME)


def sources_of(kind: str) -> list[Source]:
    """The sources that the form for this kind offers; the first is its default."""
    return [source for source in SOURCES.values() if source.kind == kind and source.is_in_forms]


def method_choices() -> list[tuple[str, str]]:
    """The choices of the column. A function, so that a new source needs no migration for them."""
    return [(source.name, source.label) for source in SOURCES.values()]


class SourceColumns:
    """Adds the columns of every source to a model class, in the order of the sources."""

    def __init__(self) -> None:
        self._columns = {name: column.clone() for of in SOURCES.values() for name, column in of.columns.items()}

    def contribute_to_class(self, model: type[Model], name: str) -> None:
        for column_name, column in self._columns.items():
            model.add_to_class(column_name, column)


def method_field(kind: str) -> serializers.ChoiceField:
    """The form field that chooses among the sources of a kind."""
    sources = sources_of(kind)
    names = [source.name for source in sources]
    return serializers.ChoiceField(names, default=names[0], help_text=describe_sources(sources))


def describe_sources(sources: Iterable[Source]) -> str:
    """The name and the input of each source, for help texts."""
    return " ".join(f"{source.name}: {source.description}." for source in sources if source.is_in_forms)


def describe_parse(task: str, splits: list[dict], label_count: int) -> dict:
    """A task of DIGITS that looks for images, with the number of images that it found for each split."""
    counts = {split["name"]: split["entries"] for split in splits}
    return {
        "name": f"{task} ({'/'.join(counts)})",
        "label_count": label_count,
        **{f"{name}_count": counts.get(name, 0) for name in ("train", "val", "test")},
    }
