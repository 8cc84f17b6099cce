"""Limits a user's requests: inference requests per minute, and lists of images at a time."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.cache import cache
from rest_framework.exceptions import Throttled
from rest_framework.throttling import BaseThrottle

from digits_project.accounts.permissions import has_accounts

MAX_LISTS = 2
_lists: Counter = Counter()  # lists of images in progress, by user
_lists_lock = threading.Lock()


class InferenceRate(BaseThrottle):
    """Allows DIGITS_INFERENCE_RATE requests per minute and user, if the server has accounts."""

    def allow_request(self, request, view) -> bool:
        if not (has_accounts() and settings.DIGITS_INFERENCE_RATE):
            return True
        minute, self._rest = divmod(time.time(), 60)
        key = f"inference-{request.user.pk}-{minute:.0f}"
        cache.add(key, 0, 120)
        return cache.incr(key) <= settings.DIGITS_INFERENCE_RATE

    def wait(self) -> float:
        return 60 - self._rest


@contextmanager
def one_of_few_lists(request) -> Iterator[None]:
    """Count a list of images while the block works on it, which can take a thread hours. Raises Throttled if the user
    already has MAX_LISTS in progress."""
    user = request.user.pk if has_accounts() else None
    with _lists_lock:
        if user and _lists[user] >= MAX_LISTS:
            raise Throttled(
                detail=(
                    f"The server is already working on {MAX_LISTS} lists of yours. Send this one when one of "
                    "them is finished."
                )
            )
        _lists[user] += 1
    try:
        yield
    finally:
        with _lists_lock:
            _lists[user] -= 1
