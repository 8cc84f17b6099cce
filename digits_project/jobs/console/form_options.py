"""Generates a command's options from a form of the API, so that fields, defaults and messages are always the same."""

import os
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import BooleanField, Field, FileField

from digits_project.api.exception_handler import messages_by_field
from digits_project.api.forms import Form, PathField
from digits_project.api.uploads import decoded
from digits_project.jobs.console.command import Invalid, wrong


class FormOptions:
    """The options for the fields of `forms`.

    `name` is the field that is the command's positional argument. Paths are on this machine and can be relative.
    Uploads have no option, because the files are on this machine. The option of a long text takes the name of a file.
    The command itself sets `hidden` fields.
    """

    def __init__(self, *forms: type[Form], name: str, hidden: Collection[str] = ()):
        self._name = name
        self._fields: dict[str, Field] = {}
        self._defaults: dict = {}
        self._choices: dict[str, dict] = {}  # of all forms together
        for form in (form() for form in forms):
            for name, field in form.fields.items():
                if name not in hidden and not isinstance(field, FileField):
                    self._fields.setdefault(name, field)
                    self._choices.setdefault(name, {}).update(getattr(field, "choices", {}))
            self._defaults = form.defaults() | self._defaults

    def add_to(self, parser: ArgumentParser) -> None:
        parser.add_argument(self._name, metavar="NAME", help=str(self._fields[self._name].help_text or ""))
        group = parser.add_argument_group("fields of the form")
        for name, field in self._fields.items():
            if name != self._name:
                self._add(group, name, field)

    def _add(self, group, name: str, field: Field) -> None:
        text, default = str(field.help_text or "").replace("%", "%%"), self._defaults.get(name)
        if isinstance(field, BooleanField):
            value = "off" if default else "on"
            flag = _option(name, negated=bool(default))
            text = f"turn off: {text}" if default else text
            group.add_argument(flag, dest=name, action="store_const", const=value, default=SUPPRESS, help=text)
            return
        shown = " (required)" if field.required else f" [{default}]" if default not in (None, "") else ""
        group.add_argument(_option(name), dest=name, default=SUPPRESS, help=text + shown, metavar=self._metavar(name))

    def _metavar(self, name: str) -> str:
        field = self._fields[name]
        if isinstance(field, PathField):
            return "PATH"
        if _is_long_text(field):
            return "FILE"
        return "|".join(map(str, self._choices[name])) or name.rsplit("_", 1)[-1].upper()

    def names(self) -> dict[str, str]:
        """{field: option}, for messages."""
        return {name: _option(name) for name in self._fields} | {self._name: "NAME"}

    def data(self, options: Mapping) -> dict:
        """The data that would be posted. Raises CommandError if a text's file can't be read."""
        given = {name: options[name] for name in self._fields if name in options}
        return {name: self._value(self._fields[name], value) for name, value in given.items()}

    def _value(self, field: Field, value: str) -> str:
        if isinstance(field, PathField) and value and "://" not in value:
            return os.path.abspath(value)  # noqa: PTH100 - resolves `..` as text, as the server does
        if _is_long_text(field):
            try:
                return decoded(Path(value).read_bytes())
            except (OSError, UnicodeDecodeError) as unreadable:
                raise wrong(f"{value} can't be read: {unreadable}") from unreadable
        return value

    @contextmanager
    def form_errors(self, form: Form, names: Mapping[str, str] | None = None) -> Iterator[None]:
        """Turn the errors of form and service inside the block into Invalid. `names` adds {field: option}."""
        options = {**self.names(), **(names or {})}
        try:
            yield
        except ValidationError as invalid:
            raise Invalid(messages_by_field(invalid.detail), options) from invalid
        except DjangoValidationError as invalid:
            raise Invalid(form.in_wire_names(invalid), options) from invalid


def _option(name: str, negated: bool = False) -> str:
    return f"--{'no-' if negated else ''}{name.replace('_', '-')}"


def _is_long_text(field: Field) -> bool:
    return field.style.get("base_template") == "textarea.html"
