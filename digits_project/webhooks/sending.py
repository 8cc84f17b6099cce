"""Sends the deliveries that are due. The reaper looks for them every few seconds; several reapers share the work.

Each attempt first takes the delivery for a minute (`next_attempt_at`). A process that dies meanwhile, by kill -9 too,
leaves it to be sent again afterwards: a message arrives at least once, always with the same id.
"""

import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import Error as DatabaseFailure
from django.db import connections, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from digits_project.common.fetch import BadURL, post
from digits_project.webhooks import services, signing
from digits_project.webhooks.models import TRIAL, Delivery, Webhook

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # that an attempt may take
MAX_AT_ONCE = 4  # attempts, each to another webhook
# Pauses after the first, second, … failure: of a delivery, and of all of its webhook.
PAUSES = [timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200, 21600, 43200)]
MAX_ATTEMPTS = len(PAUSES) + 1
MAX_FAILURES = 12  # without a success in between, about three days; then the webhook is disabled
MAX_KEPT = 100  # deliveries of a webhook that are over
GONE = 410  # a receiver that wants no more messages

_busy = threading.Lock()  # held while a thread of this process sends


def send_due() -> None:
    """Send what is due, in a thread, unless one is at it already. The reaper calls this regularly."""
    if not _busy.locked() and _due().exists():
        threading.Thread(target=_send_all, name="webhooks", daemon=True).start()


def _send_all() -> None:
    """Send until nothing is due."""
    if not _busy.acquire(blocking=False):
        return
    try:
        with ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="webhook") as pool:
            while taken := take_due():
                list(pool.map(_attempt_in_thread, taken))
    except DatabaseFailure as away:
        log.warning("Webhooks wait for the database: %s", away)
    except Exception:
        log.exception("Webhooks could not be sent; the reaper tries again")
    finally:
        connections.close_all()
        _busy.release()


def _due() -> QuerySet[Delivery]:
    """The deliveries to be sent now. A test is sent also if its webhook is not active, or waits after failures."""
    now = timezone.now()
    may_be_sent = Q(webhook__is_active=True) & (Q(webhook__retry_at=None) | Q(webhook__retry_at__lte=now))
    pending = Delivery.objects.filter(state=Delivery.State.PENDING, next_attempt_at__lte=now)
    return pending.filter(may_be_sent | Q(event=TRIAL))


def take_due() -> list[Delivery]:
    """Take deliveries that are due, at most one of each webhook, so that one slow receiver holds up only itself."""
    due = _due()
    with transaction.atomic():
        # One webhook's row is the lock on sending to it; another process skips it.
        rows = Webhook.objects.filter(pk__in=due.values("webhook")).select_for_update(skip_locked=True, of=("self",))
        webhooks = list(rows.order_by("pk"))
        firsts = [due.filter(webhook=webhook).order_by("attempts", "created_at").first() for webhook in webhooks]
        taken = sorted((first for first in firsts if first), key=lambda first: first.created_at)[:MAX_AT_ONCE]
        for delivery in taken:
            delivery.attempts += 1
            delivery.next_attempt_at = timezone.now() + LEASE
            delivery.save(update_fields=["attempts", "next_attempt_at"])
    return taken


def _attempt_in_thread(delivery: Delivery) -> None:
    try:
        attempt(delivery)
    finally:
        connections.close_all()


def attempt(delivery: Delivery) -> None:
    """Send a delivery once, and record what came of it."""
    began = time.monotonic()
    delivery.attempted_at = timezone.now()
    webhook = delivery.webhook
    try:
        delivery.status_code, delivery.error = _send(webhook, delivery), ""
    except BadURL as failure:
        delivery.status_code, delivery.error = None, str(failure)[:500]
    delivery.seconds = round(time.monotonic() - began, 3)
    if delivery.status_code and 200 <= delivery.status_code < 300:
        _succeeded(delivery)
    else:
        _failed(delivery)


def _send(webhook: Webhook, delivery: Delivery) -> int:
    if not services.are_allowed():
        raise BadURL(services.NOT_ALLOWED)
    body, message_id = delivery.body.encode(), f"msg_{delivery.delivery_id.hex}"
    signed = signing.headers(webhook.secret, message_id, int(time.time()), body)
    return post(webhook.url, body, signed | {"Content-Type": "application/json"}, services.policy())


def _succeeded(delivery: Delivery) -> None:
    delivery.state, delivery.next_attempt_at = Delivery.State.DELIVERED, None
    _store(delivery)
    Webhook.objects.filter(pk=delivery.webhook_id).update(failures=0, retry_at=None)
    _forget_old(delivery.webhook_id)


def _failed(delivery: Delivery) -> None:
    if delivery.status_code:
        redirects = " Redirects are not followed." if 300 <= delivery.status_code < 400 else ""
        delivery.error = f"The receiver answered {delivery.status_code}.{redirects}"
    is_over = delivery.attempts >= MAX_ATTEMPTS or delivery.event == TRIAL
    delivery.state = Delivery.State.FAILED if is_over else Delivery.State.PENDING
    delivery.next_attempt_at = None if is_over else _later(delivery.attempts)
    _store(delivery)
    if delivery.event != TRIAL:
        _count_failure(delivery)
    _forget_old(delivery.webhook_id)


def _store(delivery: Delivery) -> None:
    """Write the outcome to the row, if nobody has deleted it meanwhile."""
    columns = ("state", "next_attempt_at", "attempted_at", "seconds", "status_code", "error")
    rows = Delivery.objects.filter(pk=delivery.pk)
    rows.update(**{column: getattr(delivery, column) for column in columns})


def _count_failure(delivery: Delivery) -> None:
    """Let the webhook wait too, and disable it after many failures."""
    rows = Webhook.objects.filter(pk=delivery.webhook_id)
    rows.update(failures=F("failures") + 1)
    webhook = rows.first()
    if webhook is None:
        return
    if delivery.status_code != GONE and webhook.failures < MAX_FAILURES:
        rows.update(retry_at=_later(webhook.failures))
        return
    why = f"{webhook.failures} attempts in a row failed; the last: {delivery.error}"[:300]
    rows.update(is_active=False, disabled_because=why)
    pending = Delivery.objects.filter(webhook=webhook, state=Delivery.State.PENDING)
    pending.update(state=Delivery.State.FAILED, next_attempt_at=None, error="The webhook was disabled.")
    log.warning("%s was disabled: %s", webhook, why)


def _later(failures: int):
    """When to try again after so many failures; a little random, so that many do not come at the same moment."""
    pause = PAUSES[min(failures, len(PAUSES)) - 1]
    return timezone.now() + pause * random.uniform(1, 1.2)  # nosec B311 (no secret)


def _forget_old(webhook_id: int) -> None:
    over = Delivery.objects.filter(webhook=webhook_id).exclude(state=Delivery.State.PENDING).order_by("-created_at")
    Delivery.objects.filter(pk__in=list(over.values_list("pk", flat=True)[MAX_KEPT:])).delete()
