"""Turns exceptions into HTTP responses, inside and outside of views."""

import logging
import secrets
import sys
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from digits_project.accounts.viewer import without_paths
from digits_project.api.error_statuses import AWAY, error_status, http_status, http_text
from digits_project.api.renderers import wants_json
from digits_project.api.wire_format import errors, printable
from digits_project.common.errors import no_room

log = logging.getLogger(__name__)

# Python 3.13 renamed two statuses, as RFC 9110 did. Scripts compare `type`, so it keeps the old names.
PHRASES = {413: "Request Entity Too Large", 422: "Unprocessable Entity", 460: "Checksum Mismatch"}

RETRY_SECONDS = 5


def exception_handler(exc: Exception, context: dict) -> HttpResponse:
    """The response to an exception of a view, in the format of docs/api.md."""
    if isinstance(exc, DjangoValidationError):
        exc = exceptions.ValidationError(exc.message_dict if hasattr(exc, "error_dict") else {"": exc.messages})
    if isinstance(exc, exceptions.ValidationError):
        return Response({"errors": errors(without_paths(messages_by_field(exc.detail)))}, http_status(exc))
    if isinstance(exc, AWAY):
        return _away(context["request"], exc)
    status, description = _explain(exc)
    description = without_paths(description)
    known = {"WWW-Authenticate": getattr(exc, "auth_header", None), "Retry-After": getattr(exc, "wait", None)}
    headers = {name: value if isinstance(value, str) else f"{value:.0f}" for name, value in known.items() if value}
    return Response(error_body(status, description), status=status, headers=headers)


def error_body(status: int, description: str) -> dict:
    """The body of an error response; `description` is for people."""
    phrase = PHRASES.get(status) or HTTPStatus(status).phrase
    return {
        "error": {
            "message": f"{status}: {phrase}",
            "type": phrase.replace(" ", ""),
            "description": printable(description),
        }
    }


def refusal(status: int, description: str) -> JsonResponse:
    """An error response outside of any view."""
    content_type, layout = "application/json; charset=utf-8", {"indent": 2}
    body = error_body(status, description)
    return JsonResponse(body, status=status, content_type=content_type, json_dumps_params=layout)


def not_found(request, exception=None):
    """404 for an unknown route, as JSON if the request prefers JSON, else Django's page."""
    return _page_or_json(request, 404, f"There is no {request.path} here.") or defaults.page_not_found(
        request, exception
    )


def bad_request(request, exception=None):
    """400 for a request that Django refuses before any view, such as one with an unknown Host."""
    why = "The host name of the request is not one of this server's (ALLOWED_HOSTS), or the request is malformed."
    return _page_or_json(request, 400, why) or defaults.bad_request(request, exception)


def server_fault(request):
    """500 for an exception outside of our views; the log has it under the request's path."""
    failure = sys.exc_info()[1]
    if isinstance(failure, AWAY):
        return _away(request, failure)
    if failure and (explanation := no_room(failure, settings.DIGITS_HOME)):
        return _page_or_json(request, 507, explanation) or HttpResponse(explanation, "text/plain", 507)
    return _page_or_json(
        request, 500, "The server failed on this request; its log has the details."
    ) or defaults.server_error(request)


def _away(request, failure: BaseException) -> HttpResponse:
    """503 if the database or Redis can't be reached. The page uses neither."""
    status, text = http_status(failure), http_text(failure)
    log.warning("%d for %s: %s", status, request.path, failure)
    response: HttpResponse | None = _page_or_json(request, status, text)
    if response is None and "text/html" in request.headers.get("Accept", ""):
        response = HttpResponse(render_to_string("503.html", {"explanation": text}), status=status)
    if response is None:
        response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _page_or_json(request, status: int, description: str) -> JsonResponse | None:
    if wants_json(request):
        return refusal(status, description)
    return None


def _explain(exc: Exception) -> tuple[int, str]:
    """The HTTP status of an exception and the text for the client."""
    if isinstance(exc, exceptions.APIException):
        return exc.status_code, str(exc.detail)
    row = error_status(exc)
    if row and row.http:
        if row.is_logged:
            log.error("%d: %s", row.http, exc)
        return row.http, http_text(exc)
    if explanation := no_room(exc, settings.DIGITS_HOME):
        log.error("507: %s", explanation)
        return 507, explanation
    fault = secrets.token_hex(4)
    log.exception("Unexpected, error id %s", fault, exc_info=exc)
    return 500, f"The server failed on this request. Its log has the details under error id {fault}."


def messages_by_field(detail) -> dict:
    """A ValidationError's detail as {field: [message, …]}; the key of messages without a field is ''."""
    if not isinstance(detail, dict):
        return {"": detail if isinstance(detail, list) else [detail]}
    general = (api_settings.NON_FIELD_ERRORS_KEY, "__all__")
    return {("" if name in general else name): _messages(value) for name, value in detail.items()}


def _messages(value) -> list[str]:
    """The messages of one field; nested lists are flattened."""
    if isinstance(value, dict):
        return [message for nested in value.values() for message in _messages(nested)]
    if isinstance(value, (list, tuple)):
        return [message for nested in value for message in _messages(nested)]
    return [str(value)]
