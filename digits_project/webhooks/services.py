"""Makes, changes and removes webhooks, and records what they are to report."""

import ipaddress
import json
import logging
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from digits_project.accounts import audit, permissions
from digits_project.accounts.viewer import without_paths, working_for
from digits_project.common.errors import BadInput, LimitReached
from digits_project.common.fetch import Address, FetchPolicy, check, is_public
from digits_project.jobs.models import Job, Status
from digits_project.webhooks import signing
from digits_project.webhooks.models import HAPPENINGS, TRIAL, Delivery, Happening, Webhook

log = logging.getLogger(__name__)

MAX_WEBHOOKS = 10  # of a user
ADDRESS_SECONDS, MAX_RESPONSE = 10, 64 << 10  # of an attempt; bytes
NOT_ALLOWED = (
    "This server sends no webhooks: an operator has to allow addresses on the internet (DIGITS_ALLOW_URLS=on) or "
    "networks (DIGITS_WEBHOOK_NETWORKS)."
)


def are_allowed() -> bool:
    """Whether this server can send webhooks to any address."""
    return settings.DIGITS_ALLOW_URLS or bool(settings.DIGITS_WEBHOOK_NETWORKS)


def policy() -> FetchPolicy:
    """Where webhooks can go: as image_url, and to any port of the configured networks."""
    ports = None if settings.DIGITS_WEBHOOK_NETWORKS else FetchPolicy.ports
    return FetchPolicy(_is_allowed, ports, most_bytes=MAX_RESPONSE, seconds=ADDRESS_SECONDS, redirects=0)


def _is_allowed(address: Address) -> bool:
    plain = getattr(address, "ipv4_mapped", None) or address
    if any(plain in ipaddress.ip_network(network) for network in settings.DIGITS_WEBHOOK_NETWORKS):
        return True
    return settings.DIGITS_ALLOW_URLS and is_public(address)


# --- of users --------------------------------------------------------------------------------------------------------
def webhooks_of(user) -> QuerySet[Webhook]:
    """The webhooks of a user; of an open server those that it has."""
    return Webhook.objects.filter(user=user if permissions.has_accounts() else None)


def create(user, url: str, events: Sequence[str] = (), secret: str | None = None) -> Webhook:
    """Make a webhook of this user; without `events` it reports all, without `secret` it
    gets one. Raises ValidationError or LimitReached."""
    if webhooks_of(user).count() >= MAX_WEBHOOKS:
        raise LimitReached(f"You have {MAX_WEBHOOKS} webhooks, and no user can have more. Delete one first.")
    owner = user if permissions.has_accounts() else None
    webhook = Webhook(
        user=owner, url=url, events=list(events or Happening.values), secret=secret or signing.new_secret()
    )
    _check(webhook)
    webhook.save(force_insert=True)
    audit.record("make webhook", str(webhook), urlsplit(url).hostname or "")  # a path can hold a secret
    return webhook


def change(webhook: Webhook, **changes) -> None:
    """Change columns of a webhook: url, events, secret, is_active. Once active again, it has no failures. Raises
    ValidationError."""
    for name, value in changes.items():
        setattr(webhook, name, value)
    _check(webhook)
    if changes.get("is_active"):
        changes |= {"failures": 0, "retry_at": None, "disabled_because": ""}
    Webhook.objects.filter(pk=webhook.pk).update(**changes)
    webhook.refresh_from_db()
    audit.record("change webhook", str(webhook), ", ".join(changes))


def remove(webhook: Webhook) -> None:
    """Delete a webhook with its deliveries; those that are pending are not sent any more."""
    name = str(webhook)
    webhook.delete()
    audit.record("delete webhook", name)


def try_out(webhook: Webhook) -> Delivery:
    """Send a message to see whether it arrives, once, also if the webhook is not active."""
    return _store(webhook, TRIAL, "", {"webhook": webhook.pk})


def _check(webhook: Webhook) -> None:
    wrong = {}
    try:
        check(webhook.url, policy())
    except BadInput as error:
        wrong["url"] = str(error)
    try:
        signing.key_of(webhook.secret)
    except ValueError:
        wrong["secret"] = (
            f"A secret is {signing.PREFIX} and {signing.MIN_KEY} to {signing.MAX_KEY} random bytes in base64. Leave it "
            "empty to get one."
        )
    if wrong:
        raise ValidationError(wrong)


# --- of jobs ---------------------------------------------------------------------------------------------------------
def record_end(sender, job: Job, **signal) -> None:
    """Store a delivery for each webhook that reports the end of this job, in the transaction that ends the job."""
    event = HAPPENINGS[Status(job.status)]
    for webhook in _webhooks_for(job).filter(is_active=True, events__contains=event.value):
        with working_for(partial(getattr, webhook, "user")):
            facts = without_paths(job_facts(job)) if webhook.user else job_facts(job)
        _store(webhook, event, job.pk, facts)


def _webhooks_for(job: Job) -> QuerySet[Webhook]:
    if permissions.has_accounts():
        return Webhook.objects.select_related("user").filter(user__username=job.owner, user__is_active=True)
    return Webhook.objects.filter(user=None)


def job_facts(job: Job) -> dict:
    """What a message says of a job that has ended."""
    moments = {name: getattr(job, name) for name in ("created_at", "started_at", "ended_at")}
    return {
        "id": job.pk,
        "kind": job.ROUTE,
        "name": job.name,
        "owner": job.owner,
        "status": str(job.status),
        "error": job.error or None,
        **{name: moment and moment.isoformat(timespec="seconds") for name, moment in moments.items()},
        "url": job.get_absolute_url(),
    }


def _store(webhook: Webhook, event: str, job_id: str, data: dict) -> Delivery:
    now = timezone.now()
    body = {"type": str(event), "timestamp": now.isoformat(timespec="seconds"), "data": data}
    with transaction.atomic():
        return Delivery.objects.create(
            webhook=webhook, event=str(event), job_id=job_id, body=json.dumps(body), next_attempt_at=now
        )
