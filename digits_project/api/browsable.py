"""Pages: a view's response and forms as a browser shows them. The templates are in templates/ of each app."""

import re

from django.core.exceptions import SuspiciousOperation
from django.http import UnreadablePostError
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer, HTMLFormRenderer
from rest_framework.response import Response

from digits_project.accounts import usernames

FORM_STYLE = {"style": {"template_pack": "rest_framework/horizontal"}}


class PageResponse(Response):
    """A response whose page has a template of its own, or further `variables` for the template, which JSON lacks."""

    def __init__(self, data, template: str | None = None, headers: dict | None = None, **variables):
        super().__init__(data, template_name=template, headers=headers)
        self.page_variables = variables


class BrowsablePage(BrowsableAPIRenderer):
    """DRF's page in this project's style.

    The template of a page is that of its PageResponse, else the view's `page_template`, else DRF's. The values in
    the form for PUT come from the view's `prefilled()`. The query string fills fields too, so that one page can link
    to another's form: `?dataset=<id>`. After errors the form shows the posted values, without passwords, and the
    errors.
    """

    def render(self, data, accepted_media_type=None, renderer_context=None):
        own = renderer_context["response"].template_name
        self.template = own or getattr(renderer_context["view"], "page_template", self.template)
        return super().render(data, accepted_media_type, renderer_context)

    accepted_media_type: str  # BrowsableAPIRenderer.render() sets it

    def get_context(self, data, accepted_media_type, renderer_context):
        context = super().get_context(data, accepted_media_type, renderer_context)
        variables = getattr(renderer_context["response"], "page_variables", {})
        return context | {"data": data, "problem": _problem(data), "wrong": _wrong_fields(data)} | variables

    def get_rendered_html_form(self, data, view, method, request):
        if method not in ("POST", "PUT"):
            return super().get_rendered_html_form(data, view, method, request)
        has_form = getattr(view, "serializer_class", None) is not None
        if not (has_form and self.show_form_for_method(view, method, request, None)):
            return None
        form = view.get_serializer()
        form.for_page()
        form._errors = _wrong_fields(data) if request.method == method else {}
        values = dict(request.query_params.items())
        values |= _posted(request) if request.method == method else {}
        values |= view.prefilled() if method == "PUT" and hasattr(view, "prefilled") else {}
        for name, field in form.fields.items():
            field.help_text = _with_code(field.help_text or "")
            if isinstance(values.get(name), str) and not _is_secret(field):
                _begin_with(field, values[name])
        return HTMLFormRenderer().render(form.data, self.accepted_media_type, FORM_STYLE)

    def get_description(self, view, status_code):
        return _with_code(super().get_description(view, status_code))

    def get_raw_data_form(self, data, view, method, request):
        """None, because bodies can be tried by hand at /api/docs."""


def client_name(request) -> dict:
    """Template context of every page: the name that the client of an open server has given."""
    return {"client_name": lambda: usernames.owner(request)}


def _with_code(text: str) -> str:
    """The text as HTML, with `names` in backticks as code."""
    # The text is escaped; only two tags are added.
    return mark_safe(re.sub("`(.*?)`", r"<code>\1</code>", conditional_escape(text)))  # nosec B308 B703


def _posted(request) -> dict:
    """The posted values, as far as they can be read."""
    try:
        return dict(request.data.items())
    except (APIException, SuspiciousOperation, UnreadablePostError):
        return {}


def _is_secret(field: serializers.Field) -> bool:
    """Whether pages must not repeat the value of the field."""
    return field.style.get("input_type") == "password"


def _begin_with(field: serializers.Field, value: str) -> None:
    field.initial = value in field.TRUE_VALUES if isinstance(field, serializers.BooleanField) else value


def _problem(data) -> str:
    """The error of a request that was refused as a whole, not for single fields."""
    error = data.get("error") if isinstance(data, dict) else None
    return error["description"] if isinstance(error, dict) else ""


def _wrong_fields(data) -> dict[str, list[str]]:
    """{field: [message, …]} of a refused form, from either wire format."""
    errors = data.get("errors", {}) if isinstance(data, dict) else {}
    if isinstance(errors, dict):
        return errors
    fields = dict.fromkeys(error["field"] for error in errors)
    return {field: [error["message"] for error in errors if error["field"] == field] for field in fields}
