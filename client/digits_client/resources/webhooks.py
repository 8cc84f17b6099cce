"""Webhooks: addresses of yours to which the server reports the end of your jobs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from digits_client.connection import Connection
from digits_client.results import record

EVENTS = ("job.done", "job.error", "job.aborted")
MAX_AGE = 300  # seconds


@dataclass(frozen=True)
class Webhook:
    """A webhook. `secret` is known only just after it was made."""

    id: int
    url: str
    events: Sequence[str]
    active: bool
    created_at: str
    failures: int
    retry_at: str | None = None
    disabled_because: str = ""
    secret: str = ""


@dataclass(frozen=True)
class Delivery:
    """A message that was sent, or waits to be."""

    id: str
    event: str
    job_id: str
    state: str
    created_at: str
    attempts: int
    attempted_at: str | None = None
    next_attempt_at: str | None = None
    status_code: int | None = None
    seconds: float | None = None
    error: str = ""


webhook_of = record(Webhook)
delivery_of = record(Delivery)


class Webhooks:
    """Your webhooks."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def create(self, url: str, events: Sequence[str] = EVENTS, **fields: Any) -> Webhook:
        """Make a webhook. Keep the secret of the result: no other response has it."""
        return webhook_of(self._json("POST", "", {"url": url, "events": ",".join(events), **fields}))

    def list(self) -> Sequence[Webhook]:
        """All of them."""
        return [webhook_of(facts) for facts in self._json("GET")["webhooks"]]

    def get(self, webhook: Webhook | int) -> Webhook:
        """One of them, as it is now."""
        return webhook_of(self._json("GET", _path(webhook)))

    def change(self, webhook: Webhook | int, **fields: Any) -> Webhook:
        """Change url, events, secret or active."""
        return webhook_of(self._json("PUT", _path(webhook), fields))

    def delete(self, webhook: Webhook | int) -> None:
        """Delete a webhook. What is pending is not sent any more."""
        self._json("DELETE", _path(webhook))

    def test(self, webhook: Webhook | int) -> Delivery:
        """Send a test message; deliveries() shows what came back."""
        return delivery_of(self._json("POST", f"{_path(webhook)}/test"))

    def deliveries(self, webhook: Webhook | int) -> Sequence[Delivery]:
        """What was sent, the newest first."""
        return [delivery_of(facts) for facts in self._json("GET", f"{_path(webhook)}/deliveries")["deliveries"]]

    def _json(self, method: str, path: str = "", fields: Mapping[str, Any] | None = None) -> Any:
        return self._connection.json(method, f"/api/v1/webhooks{path}", fields=fields)


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether a message came from the server: its signature is right, and it is at most five minutes old. `headers`
    have names in lower case, and `body` is as it arrived."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    is_new = abs(time.time() - int(headers["webhook-timestamp"])) < MAX_AGE
    return is_new and hmac.compare_digest(expected, headers["webhook-signature"])


def _path(webhook: Webhook | int) -> str:
    return f"/{webhook.id if isinstance(webhook, Webhook) else webhook}"
