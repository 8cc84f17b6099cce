"""Forms, the fields that they share, and JSON bodies."""

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from functools import cache
from typing import Any, TypeVar, cast

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.fields import SkipField, empty
from rest_framework.parsers import JSONParser

from digits_project.api.digits_fields import DigitsField, refused

EMPTY = ("", None)  # values of a field that was left empty
MAX_PATH = 4096  # characters
MAX_ECHO = 60  # characters of a wrong value in a message
IGNORED = "X-Digits-Ignored"  # response header that lists the fields unknown to the form
# Fields that clients send with every form.
COMPANIONS = {"csrf_token", "csrfmiddlewaretoken", "submit", "username"}

F = TypeVar("F", bound="Form")


# --- bodies --------------------------------------------------------------------------------------------------------
class JSONObjectParser(JSONParser):
    """Parses a JSON body, which must be an object with the form's fields."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            body = super().parse(stream, media_type, parser_context)
        except RecursionError as deep:
            raise exceptions.ParseError("The JSON is nested too deep.") from deep
        if not isinstance(body, dict):
            raise exceptions.ParseError("The JSON must be an object: {field: value, …}.")
        return body


# --- forms ---------------------------------------------------------------------------------------------------------
class Form(serializers.Serializer):
    """A posted form, the same for form, multipart and JSON bodies. A blank optional field gets its default."""

    WIRE_NAMES: dict[str, str] = {}  # {column: field}, where a column and its field have different names
    DESCRIPTIONS: dict[str, str] = {}  # {field: help text}, for the page and the schema
    DIGITS_FIELDS: dict[str, DigitsField] = {}  # fields of DIGITS's form that this form lacks
    FIRST: tuple[str, ...] = ()  # the first fields of the form, of any class
    LAST: tuple[str, ...] = ()  # the last fields
    HAS_FIXED_FIELDS = False  # whether its fields depend on nothing but the class, so that forms can share them

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, default in self.defaults().items():
            self.fields[name].initial = default  # the page's form shows it
        for name in self.fields.keys() & self.DESCRIPTIONS.keys():
            self.fields[name].help_text = self.DESCRIPTIONS[name]
        for field in self.fields.values():
            _name_choices(field)

    @classmethod
    def with_data(cls: type[F], data) -> F:
        """A form to validate these data. With HAS_FIXED_FIELDS it has the fields of all such forms of its class; making
        fields takes longer than validating them."""
        if not cls.HAS_FIXED_FIELDS:
            return cls(data=data)
        form = copy(_empty_form(cls))
        form.initial_data = data
        return form

    @classmethod
    def valid_values(cls, data) -> dict[str, Any]:
        """The values of these data, such as a query string. Raises ValidationError."""
        form = cls.with_data(data)
        form.is_valid(raise_exception=True)
        return form.validated_data

    def get_fields(self):
        fields = self.unordered_fields()
        self._known = {*fields, *self.DIGITS_FIELDS, *COMPANIONS}
        data = getattr(self, "initial_data", None)
        if isinstance(data, Mapping):
            fields = self.fields_for(data, fields)
        order = (*self.FIRST, *(name for name in fields if name not in self.LAST), *self.LAST)
        return {name: fields[name] for name in dict.fromkeys(order) if name in fields}

    def unordered_fields(self) -> dict[str, serializers.Field]:
        """The fields that the class declares. A subclass can add fields that it creates from other declarations."""
        return super().get_fields()

    def fields_for(self, data: Mapping, fields: dict[str, serializers.Field]) -> dict[str, serializers.Field]:
        """The `fields` that a form with these data has. A subclass leaves out the fields of choices that the data do
        not make."""
        return fields

    def for_page(self) -> None:
        """Prepare an empty form to be shown on a page."""

    def page_errors(self, wrong: dict[str, list[str]]) -> dict[str, list[str]]:
        """The errors by the fields of its page, which can have other fields than the form."""
        return wrong

    def names(self) -> list[str]:
        """The names of the fields, in the order of the form."""
        return list(self.fields.keys())

    def defaults(self) -> dict:
        """{field: default} of the optional fields, in the form in which they are posted."""
        defaulted = {name: field for name, field in self.fields.items() if field.default is not empty}
        return {
            name: None if field.default is None else field.to_representation(field.default)
            for name, field in defaulted.items()
        }

    def knows(self, name: str) -> bool:
        """Whether the form, or DIGITS's form, has a field of this name."""
        return name in self._known

    def in_wire_names(self, invalid: DjangoValidationError) -> dict[str, list[str]]:
        """{field: messages} from a service's errors, which are by column."""
        return {self.WIRE_NAMES.get(column, column): messages for column, messages in invalid.message_dict.items()}

    def to_internal_value(self, data):
        if not hasattr(data, "items"):
            return super().to_internal_value(data)  # raises: it is not an object
        given = {
            name: data[name]
            for name, field in self.fields.items()
            if name in data and (field.required or getattr(field, "allow_blank", False) or data[name] not in EMPTY)
        }
        not_here = refused(self.DIGITS_FIELDS, data)
        try:
            values = super().to_internal_value(given)
        except serializers.ValidationError as invalid:
            by_field = cast(dict[str, Any], invalid.detail)
            wrong = _as_lists(self.wrong_together(self._valid_values(given, by_field)))
            raise serializers.ValidationError(wrong | by_field | not_here) from invalid
        if wrong := _as_lists(self.wrong_together(values)) | not_here:
            raise serializers.ValidationError(wrong)
        return values

    def wrong_together(self, values: dict) -> dict[str, str]:
        """{field: message} of errors that concern several fields together, reported with the errors of single fields.

        `values` has only the valid fields.
        """
        return {}

    def _valid_values(self, given: dict, invalid: dict) -> dict:
        """The values of the fields that are valid by themselves."""
        values = {}
        for field in self._writable_fields:
            if field.field_name not in invalid:
                with suppress(SkipField):
                    values[field.field_name] = field.run_validation(field.get_value(given))
        return values


@cache
def _empty_form(form_class: type[F]) -> F:
    return form_class()


def choice_in(data: Mapping, name: str, field: serializers.ChoiceField) -> str:
    """The value of a choice field in posted data; the default if it is missing or invalid, which the field reports."""
    choice = str(data.get(name))
    return choice if choice in field.choices else str(field.default)


def _as_lists(wrong: dict[str, str]) -> dict[str, list[str]]:
    return {field: [message] for field, message in wrong.items()}


def _name_choices(field: serializers.Field) -> None:
    """Set the field's message for an invalid choice so that it lists the choices."""
    if isinstance(field, serializers.ChoiceField):
        *others, last = (str(choice).replace("{", "{{").replace("}", "}}") for choice in field.choices)
        choices = f"{', '.join(others)} or {last}" if others else last
        cut = f"{{input!s:.{MAX_ECHO}}}"
        field.error_messages["invalid_choice"] = f'"{cut}" is not a valid choice. Choose {choices}.'
    elif isinstance(child := getattr(field, "child", None), serializers.Field):
        _name_choices(child)


class PathField(serializers.CharField):
    """An absolute path on the server. Pages suggest paths for it; the option of a command can be relative."""

    def __init__(self, **kwargs):
        super().__init__(max_length=MAX_PATH, style={"base_template": "path.html"}, **kwargs)


@extend_schema_field(OpenApiTypes.STR)
class OpenChoiceField(serializers.ChoiceField):
    """A choice that takes further names besides its choices, too many for a list: pages show a text field."""


class Flag(serializers.BooleanField):
    """y yes true on 1 or n no false off 0, any case; absent or empty is false, anything else an error."""

    TRUE_VALUES = {"y", "yes", "true", "on", "1", 1}
    FALSE_VALUES = {"n", "no", "false", "off", "0", "", 0}
    default_error_messages = {"invalid": "This is neither true (y yes true on 1) nor false (n no false off 0)."}

    def __init__(self, default=False, **kwargs):
        super().__init__(default=default, **kwargs)

    def to_internal_value(self, data):
        return super().to_internal_value(data.strip().lower() if isinstance(data, str) else data)
