"""The wire: which renderer answers, what forms are, and the two wire formats; errors are in refusals.py."""

import re
from contextlib import suppress

from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.urls import path
from rest_framework import exceptions, serializers
from rest_framework.fields import SkipField, empty
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer


class Conflict(exceptions.APIException):
    """The job is not in a state for that."""

    status_code = 409


class Undecodable(exceptions.APIException):
    """An uploaded image that can't be decoded: 422, or 500 as DIGITS answered."""

    def __init__(self, detail):
        super().__init__(detail)
        self.status_code = 500 if settings.DIGITS_WIRE_FORMAT == "digits" else 422


# --- renderers -----------------------------------------------------------------------------------------------------
class PrettyJSONRenderer(JSONRenderer):
    """Two spaces, keys in the order given: public clients read the answer by line."""

    charset = "utf-8"
    ensure_ascii = False

    def get_indent(self, accepted_media_type, renderer_context):
        return 2

    def render(self, data, accepted_media_type=None, renderer_context=None):
        body = super().render(data, accepted_media_type, renderer_context)
        return body + b"\n" if body else body  # a shell's next prompt begins on a line of its own


class SuffixNegotiation(DefaultContentNegotiation):
    """`.json` answers JSON; without it, JSON where Accept prefers that to a page."""

    def select_renderer(self, request, renderers, format_suffix=None):
        json = next((renderer for renderer in renderers if renderer.format == "json"), renderers[0])
        page = next((renderer for renderer in renderers if renderer.format == "api"), json)
        if format_suffix == "json" or prefers_json(request):
            return json, json.media_type
        return page, page.media_type


def prefers_json(request) -> bool:
    """Whether the Accept header prefers JSON to a page."""
    return _quality(request, "application/json") > _quality(request, "text/html")


def _quality(request, media_type: str) -> float:
    """The q of `media_type` in the Accept header (RFC 9110, 12.5.1): the most specific range that matches decides."""
    group = media_type.split("/")[0]
    qualities = {}
    for entry in request.headers.get("Accept", "*/*").split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        q = next((p[2:] for p in parameters if re.fullmatch(r"q=[01](\.\d{0,3})?", p)), "1")
        qualities[name.lower()] = float(q)
    return next((qualities[name] for name in (media_type, f"{group}/*", "*/*") if name in qualities), 0.0)


# --- bodies --------------------------------------------------------------------------------------------------------
class JSONObjectParser(JSONParser):
    """A JSON body is an object; its fields are those of the form."""

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
    """A posted form, the same for form, multipart and JSON bodies. A blank optional field means its default."""

    WIRE_NAMES: dict[str, str] = {}  # {column: field}, where a row calls something otherwise than the wire does
    DESCRIPTIONS: dict[str, str] = {}  # {field: what it means}, for the page and the schema
    FIRST: tuple[str, ...] = ()  # the fields that the form begins with, whichever class they are of

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, default in self.defaults().items():
            self.fields[name].initial = default  # what the page's form shows
        for name, description in self.DESCRIPTIONS.items():
            self.fields[name].help_text = description
        for field in self.fields.values():
            _name_choices(field)

    def get_fields(self):
        fields = super().get_fields()
        return {name: fields[name] for name in dict.fromkeys((*self.FIRST, *fields)) if name in fields}

    def defaults(self) -> dict:
        """{field: default} of the optional fields, as they may be posted."""
        defaulted = {name: field for name, field in self.fields.items() if field.default is not empty}
        return {
            name: None if field.default is None else field.to_representation(field.default)
            for name, field in defaulted.items()
        }

    def in_wire_names(self, invalid: DjangoValidationError) -> dict[str, list[str]]:
        """{field: messages} of what a service has against the columns."""
        return {self.WIRE_NAMES.get(column, column): messages for column, messages in invalid.message_dict.items()}

    def to_internal_value(self, data):
        if not hasattr(data, "items"):
            return super().to_internal_value(data)  # says that it is not an object
        given = {
            name: data[name]
            for name, field in self.fields.items()
            if name in data and (field.required or getattr(field, "allow_blank", False) or data[name] not in ("", None))
        }
        try:
            values = super().to_internal_value(given)
        except serializers.ValidationError as invalid:
            wrong = self.wrong_together(self._valid_values(given, invalid.detail))
            raise serializers.ValidationError(_as_lists(wrong) | dict(invalid.detail)) from invalid
        if wrong := self.wrong_together(values):
            raise serializers.ValidationError(_as_lists(wrong))
        return values

    def wrong_together(self, values: dict) -> dict[str, str]:
        """{field: message} of what only several fields together can say; reported beside fields that are wrong alone.

        `values` has the fields that are valid; any may be missing.
        """
        return {}

    def _valid_values(self, given: dict, invalid: dict) -> dict:
        """The values of the fields that are not `invalid`."""
        values = {}
        for field in self._writable_fields:
            if field.field_name not in invalid:
                with suppress(SkipField):
                    values[field.field_name] = field.run_validation(field.get_value(given))
        return values


def _as_lists(wrong: dict[str, str]) -> dict[str, list[str]]:
    return {field: [message] for field, message in wrong.items()}


def _name_choices(field: serializers.Field) -> None:
    """Let the message about a value that is no choice name the choices."""
    if isinstance(field, serializers.ChoiceField):
        *others, last = (str(choice).replace("{", "{{").replace("}", "}}") for choice in field.choices)
        choices = f"{', '.join(others)} or {last}" if others else last
        field.error_messages["invalid_choice"] = f'"{{input}}" is not a valid choice. Choose {choices}.'
    elif isinstance(getattr(field, "child", None), serializers.Field):
        _name_choices(field.child)


class Flag(serializers.BooleanField):
    """y yes true on 1 or n no false off 0, any case; absent or empty is false, anything else an error."""

    TRUE_VALUES = {"y", "yes", "true", "on", "1", 1}
    FALSE_VALUES = {"n", "no", "false", "off", "0", "", 0}
    default_error_messages = {"invalid": "This is neither true (y yes true on 1) nor false (n no false off 0)."}

    def __init__(self, **kwargs):
        super().__init__(default=False, **kwargs)

    def to_internal_value(self, data):
        return super().to_internal_value(data.strip().lower() if isinstance(data, str) else data)


# --- wire formats --------------------------------------------------------------------------------------------------
def predictions(ranked: list[tuple[str, float]]):
    """[(category, percent)], best first, as DIGITS_WIRE_FORMAT wants them."""
    if settings.DIGITS_WIRE_FORMAT == "digits":
        return [[category, percent] for category, percent in ranked]
    return dict(ranked)


def errors(by_field: dict):
    """{field: [message, …]} as DIGITS_WIRE_FORMAT wants it."""
    by_field = {field: [printable(message) for message in messages] for field, messages in by_field.items()}
    if settings.DIGITS_WIRE_FORMAT == "digits":
        return by_field
    return [{"field": field, "message": message} for field, messages in by_field.items() for message in messages]


def printable(message) -> str:
    """A message that quotes what somebody sent, without the half characters that JSON can bring and UTF-8 can't."""
    return str(message).encode("utf-8", "replace").decode()


# --- routes --------------------------------------------------------------------------------------------------------
def with_suffix(route: str, view: type, name: str) -> list:
    """`route` and `route.json`, one view."""
    return [
        path(f"{route}.json", view.as_view(), {"format": "json"}, name=f"{name}-json"),
        path(route, view.as_view(), name=name),
    ]
