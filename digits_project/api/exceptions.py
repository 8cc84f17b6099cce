"""Exceptions of the API that DRF does not have."""

from django.conf import settings
from rest_framework import exceptions


class Conflict(exceptions.APIException):
    """The state of the job does not allow the request (409)."""

    status_code = 409


class Undecodable(exceptions.APIException):
    """An uploaded image can't be decoded: 422, or 500 as in DIGITS."""

    def __init__(self, detail):
        super().__init__(detail)
        self.status_code = 500 if settings.DIGITS_WIRE_FORMAT == "digits" else 422
