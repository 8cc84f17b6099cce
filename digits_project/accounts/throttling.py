"""Limits a user's requests: inference requests per minute, and lists of images at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.throttling import BaseThrottle

from digits_project.accounts.permissions import has_accounts
from digits_project.common.shared_memory.web_processes import shared

MAX_LISTS = 2


class InferenceRate(BaseThrottle):
    """Allows DIGITS_INFERENCE_RATE requests per minute and user, if the server has accounts."""

    def allow_request(self, request, view) -> bool:
        if not (has_accounts() and settings.DIGITS_INFERENCE_RATE):
            return True
        minute, self._rest = divmod(time.time(), 60)
        key = f"inference-{request.user.pk}-{minute:.0f}"
        return shared().counters.add(key, 1, 120) <= settings.DIGITS_INFERENCE_RATE

    def wait(self) -> float:
        return 60 - self._rest


@contextmanager
def one_of_few_lists(request) -> Iterator[None]:
    """Count a list of images while the block works on it, which can take a thread hours. Raises Throttled if the user
    already has MAX_LISTS in progress."""
    if not (has_accounts() and request.user.pk):
        yield
        return
    name = f"lists-{request.user.pk}"
    try:
        if shared().hold(name, 1) > MAX_LISTS:
            raise Throttled(
                detail=(
                    f"The server is already working on {MAX_LISTS} lists of yours. Send this one when one of "
                    "them is finished."
                )
            )
        yield
    finally:
        shared().hold(name, -1)
