"""The table of exceptions: one row for each, with its HTTP status and a command's exit status."""

from enum import IntEnum
from typing import NamedTuple, cast

from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
    ValidationError,
)
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import Http404, UnreadablePostError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework import exceptions

from digits_project.common.errors import (
    BadInput,
    DamagedFile,
    DiskLimitReached,
    Failed,
    Gone,
    IllegalTransition,
    LimitReached,
    Refused,
)


class Exit(IntEnum):
    """The exit statuses of the commands; docs/commands.md and every --help list them too."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    INTERRUPTED = 130  # 128 + SIGINT, as in shells


class ErrorStatus(NamedTuple):
    """A row of the table. The texts may contain {error}, the first line of the exception's message, and {max_mib},
    {max_fields}, {max_files}, the limits of a form."""

    http: int | None  # None: a fault of the server, which becomes a 500 with an error id
    exit: Exit | None  # None: a command shows the traceback
    http_text: str = ""  # instead of the exception's message
    exit_text: str = ""  # instead of the exception's message
    default_text: str = ""  # if the exception has no message
    is_logged: bool = False


FIELDS_TOO_LARGE = "The fields of the form take more than {max_mib} MiB; send large values as files."
TOO_MANY = ErrorStatus(400, None, http_text="The form has more than {max_fields} fields or {max_files} files.")
MALFORMED = ErrorStatus(400, None, default_text="The request is malformed.")
FORBIDDEN = ErrorStatus(403, Exit.FAILED, default_text="Permission denied.")
UNREACHABLE = ErrorStatus(
    503,
    Exit.FAILED,
    http_text="The server can't reach its database just now. Nothing is lost; try again in a moment.",
    exit_text="The database or Redis can't be reached ({error}). Start the server (make run), or see manage.py doctor.",
)
OLD_TABLES = "The database lacks tables of this version ({error}). Run manage.py migrate."

# An exception has the row of its class, or of the nearest base class that has one. Other exceptions of DRF than
# ValidationError have their HTTP status themselves; a full disk (507) is recognised by its errno (errors.no_room).
ERROR_STATUSES: dict[type[BaseException], ErrorStatus] = {
    BadInput: ErrorStatus(400, Exit.BAD_INPUT),
    DamagedFile: ErrorStatus(409, Exit.BAD_INPUT, is_logged=True),
    Refused: FORBIDDEN,
    IllegalTransition: ErrorStatus(409, Exit.FAILED),
    LimitReached: ErrorStatus(429, Exit.FAILED),
    DiskLimitReached: ErrorStatus(507, Exit.FAILED),
    Gone: ErrorStatus(404, Exit.FAILED, "Job not found", "The job has been deleted meanwhile."),
    Failed: ErrorStatus(None, Exit.FAILED),
    ValidationError: ErrorStatus(400, Exit.BAD_INPUT),
    exceptions.ValidationError: ErrorStatus(400, Exit.BAD_INPUT),
    RequestDataTooBig: ErrorStatus(413, None, FIELDS_TOO_LARGE),
    TooManyFieldsSent: TOO_MANY,
    TooManyFilesSent: TOO_MANY,
    SuspiciousOperation: MALFORMED,
    UnreadablePostError: MALFORMED,
    Http404: ErrorStatus(404, None, default_text="Not found"),
    PermissionDenied: FORBIDDEN,
    OperationalError: UNREACHABLE,
    InterfaceError: UNREACHABLE,
    RedisConnectionError: UNREACHABLE,
    RedisTimeoutError: UNREACHABLE,
    ProgrammingError: ErrorStatus(None, Exit.FAILED, exit_text=OLD_TABLES),
    KeyboardInterrupt: ErrorStatus(None, Exit.INTERRUPTED, exit_text="Interrupted."),
}
AWAY = tuple(error for error, row in ERROR_STATUSES.items() if row is UNREACHABLE)
COMMAND_ERRORS = tuple(error for error, row in ERROR_STATUSES.items() if row.exit is not None)


def error_status(error: BaseException) -> ErrorStatus | None:
    """The row of the table for an exception: that of the nearest class in its MRO; None if the table has none."""
    return next((ERROR_STATUSES[base] for base in type(error).__mro__ if base in ERROR_STATUSES), None)


def listed_status(error: BaseException) -> ErrorStatus:
    """The row of an exception that is known to have one."""
    return cast(ErrorStatus, error_status(error))


def http_status(error: BaseException) -> int:
    """The HTTP status of an exception: that of its row, else 500."""
    row = error_status(error)
    return row.http if row and row.http else 500


def http_text(error: BaseException) -> str:
    """The message to a client for an exception of the table."""
    row = listed_status(error)
    return _filled_in(row.http_text, error) or str(error) or row.default_text


def exit_text(error: BaseException) -> str:
    """The message that a command prints for an exception of the table."""
    row = listed_status(error)
    return _filled_in(row.exit_text, error) or str(error) or row.default_text


def _filled_in(text: str, error: BaseException) -> str:
    return text.format(
        error=next(iter(str(error).strip().splitlines()), type(error).__name__),
        max_mib=settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20,
        max_fields=settings.DATA_UPLOAD_MAX_NUMBER_FIELDS,
        max_files=settings.DATA_UPLOAD_MAX_NUMBER_FILES,
    )


class Conflict(exceptions.APIException):
    """The state of the job does not allow the request (409)."""

    status_code = 409


class Undecodable(exceptions.APIException):
    """An uploaded image can't be decoded: 422, or 500 as in DIGITS."""

    def __init__(self, detail):
        super().__init__(detail)
        self.status_code = 500 if settings.DIGITS_WIRE_FORMAT == "digits" else 422
