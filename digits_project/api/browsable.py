"""Pages: a view's response and forms as a browser shows them. The templates are in templates/ of each app."""

import re
from contextlib import suppress
from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.http import UnreadablePostError
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.fields import empty
from rest_framework.renderers import BrowsableAPIRenderer, HTMLFormRenderer
from rest_framework.response import Response

from digits_project import __version__
from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role, role_of

TITLES = {401: "Log in first", 403: "Not allowed", 404: "Not found"}


class PageResponse(Response):
    """A response whose page has a template of its own, or further `variables` for the template, which JSON lacks."""

    def __init__(
        self, data, template: str | None = None, headers: dict | None = None, status: int | None = None, **variables
    ):
        super().__init__(data, template_name=template, headers=headers, status=status)
        self.page_variables = variables


class FormRenderer(HTMLFormRenderer):
    """The form of a page, from templates/components/form/, with the default of each optional field.

    A field's `style` can have a `title`, instead of the label that DRF makes of its name, and a `unit`. A form can have
    a `page_template` of its own, which places the fields by {% render_field form.NAME style=style %}.
    """

    template_pack = "components/form"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        style = {"template_pack": self.template_pack, "renderer": self}
        template = getattr(data.serializer, "page_template", "") or f"{self.template_pack}/{self.base_template}"
        return render_to_string(template, {"form": data.serializer, "style": style})

    def render_field(self, field, parent_style):
        declared = field._field
        declared.style = {"default": _default_text(declared), **declared.style}
        if hasattr(declared, "candidates"):  # a field of a job's id
            declared.style["candidates"] = declared.candidates()
        return super().render_field(field, parent_style)


class BrowsablePage(BrowsableAPIRenderer):
    """A page in this project's style.

    The template of a page is that of its PageResponse, else the view's `page_template`, else page.html. The values in
    the form for PUT come from the view's `prefilled()`. The query string fills fields too, so that one page can link
    to another's form: `?dataset=<id>`. After errors the form shows the posted values, without passwords, and the
    errors.
    """

    template = "page.html"
    form_renderer_class = FormRenderer
    accepted_media_type: str  # BrowsableAPIRenderer.render() sets it

    def render(self, data, accepted_media_type=None, renderer_context=None):
        own = renderer_context["response"].template_name
        self.template = own or getattr(renderer_context["view"], "page_template", self.template)
        if renderer_context["response"].status_code >= 400:
            self.template = _of_errors(renderer_context["view"], self.template)
        return super().render(data, accepted_media_type, renderer_context)

    def get_context(self, data, accepted_media_type, renderer_context):
        """The variables of the templates. DRF's own get_context also renders the JSON, the raw forms and a list of
        parent pages, which no page of ours shows."""
        view, request, response = (renderer_context[name] for name in ("view", "request", "response"))
        context = {
            "view": view,
            "request": request,
            "response": response,
            "user": request.user,
            "name": _title(self.get_name(view), request, response),
            "description": self.get_description(view, response.status_code),
            "put_form": self.get_rendered_html_form(data, view, "PUT", request),
            "post_form": self.get_rendered_html_form(data, view, "POST", request),
            "display_edit_forms": response.status_code != 403,
            "json_address": _json_address(request),
            "data": data,
            "problem": _problem(data),
            "wrong": _wrong_fields(data),
        }
        return context | getattr(response, "page_variables", {})

    def get_rendered_html_form(self, data, view, method, request):
        has_form = getattr(view, "serializer_class", None) is not None and _may_send(view, request.user)
        if not (has_form and self.show_form_for_method(view, method, request, None)):
            return None
        form = view.get_serializer()
        form.for_page()
        form._errors = form.page_errors(_wrong_fields(data)) if request.method == method else {}
        values = _cloned(view) | dict(request.query_params.items())
        values |= _posted(request) if request.method == method else {}
        values |= view.prefilled() if method == "PUT" and hasattr(view, "prefilled") else {}
        for name, field in form.fields.items():
            field.help_text = _with_code(field.help_text or "")
            if isinstance(values.get(name), str) and not _is_secret(field):
                _begin_with(field, values[name])
        return FormRenderer().render(form.data, self.accepted_media_type, {})

    def get_description(self, view, status_code):
        return getattr(view, "page_description", "") if status_code < 400 else ""


def client_name(request) -> dict:
    """Template context of every page: the name that the client of an open server has given, whether the user's account
    can only read, and the version."""
    return {
        "client_name": lambda: usernames.owner(request),
        "only_reads": lambda: _only_reads(request.user),
        "digits_version": __version__,
    }


def _only_reads(user) -> bool:
    """Whether the account of a user who has logged in can create and change nothing."""
    return permissions.has_accounts() and user.is_authenticated and (role_of(user) or Role.VIEWER) < Role.USER


def _title(name: str, request, response) -> str:
    """The page's title: the view's name, but for a page that can't be shown what is wrong, such as "Not found"."""
    if response.status_code < 400 or request.method != "GET":
        return name
    return TITLES.get(response.status_code, HTTPStatus(response.status_code).phrase)


def _may_send(view, user) -> bool:
    """Whether the user's group allows the requests of the view's form."""
    if not (permissions.has_accounts() and user.is_authenticated and permissions.MayUse in view.permission_classes):
        return True
    role = role_of(user)
    return role is not None and role >= getattr(view, "role", Role.OPERATOR)


def _of_errors(view, template: str) -> str:
    """The template for a response with an error: that of a page with a form, which shows the errors, else page.html,
    because the other templates show data that the response has not."""
    has_form = getattr(view, "page_template", None) == template
    return template if has_form else BrowsablePage.template


def _json_address(request) -> str:
    """The address of the same resource as JSON; "" if there is none, or the page is no response to a GET."""
    if request.method != "GET":
        return ""
    path = "/index" if request.path_info == "/" else request.path_info
    try:
        resolve(f"{path}.json")
    except Resolver404:
        return ""
    prefix = request.path.removesuffix(request.path_info)
    query = request.META.get("QUERY_STRING", "")
    return f"{prefix}{path}.json" + (f"?{query}" if query and request.path_info != "/" else "")


def _default_text(field: serializers.Field) -> str:
    """The default of an optional field as text; "" if it says nothing."""
    default = field.default
    if default is empty or default in ("", None, [], ()) or isinstance(default, bool) or callable(default):
        return ""
    shown = field.to_representation(default)
    return getattr(field, "choices", {}).get(shown, shown) if isinstance(shown, str) else str(shown)


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


def _cloned(view) -> dict[str, str]:
    """The values of the job that `?clone=` names, as a browser would post them; {} if there is no such job."""
    with suppress(APIException):
        return {name: _as_text(value) for name, value in view.cloned().items()} if hasattr(view, "cloned") else {}
    return {}


def _as_text(value) -> str:
    """The value of a field as a browser would post it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _is_secret(field: serializers.Field) -> bool:
    """Whether pages must not repeat the value of the field."""
    return field.style.get("input_type") == "password"


def _begin_with(field: serializers.Field, value: str) -> None:
    field.initial = value.lower() in field.TRUE_VALUES if isinstance(field, serializers.BooleanField) else value


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
