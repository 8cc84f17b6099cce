"""Webhooks: made over REST, sent when a job ends, signed, retried, limited to allowed addresses."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F
from django.utils import timezone

from digits_project.jobs import services as jobs
from digits_project.webhooks import sending, services
from digits_project.webhooks.models import Delivery, Webhook
from tests.support.api_requests import field_errors, make_account
from tests.support.applications.webhook_receiver import receiver
from tests.support.server import ROOT, wait_until
from tests.support.webserver import database_of_tests

pytestmark = pytest.mark.django_db
WEBHOOKS = "/api/v1/webhooks"


@pytest.fixture(autouse=True)
def _here(settings):
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_WEBHOOK_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def ada(client):
    user = make_account("ada", "user")
    client.force_login(user)
    return user


@pytest.fixture
def hook(ada):
    """A receiver, and a webhook of ada's that sends there."""
    with receiver() as server:
        yield server, services.create(ada, server.url, ["job.done", "job.aborted"])


def send_due():
    """Send all that is due, as the reaper's thread does."""
    for delivery in sending.take_due():
        sending.attempt(delivery)


def make_due():
    """Let the pauses after failures be over."""
    Delivery.objects.filter(state="pending").update(next_attempt_at=timezone.now())
    Webhook.objects.update(retry_at=None)


def is_genuine():
    """The function of docs/api.md that checks a signature."""
    code = re.search(r"```python\n((?:(?!```).)*def is_genuine.*?)```", (ROOT / "docs/api.md").read_text(), re.S)
    names = {}
    exec(code[1], names)
    return names["is_genuine"]


def test_the_end_of_a_job_is_sent_with_a_signature_that_the_documented_check_accepts(hook, make_dataset):
    server, webhook = hook
    dataset = make_dataset()
    jobs.abort(dataset)
    send_due()
    [message] = server.received
    sent = json.loads(message.body)
    assert [sent["type"], sent["data"]["id"], sent["data"]["status"]] == ["job.aborted", dataset.pk, "Aborted"]
    assert is_genuine()(message.headers, message.body, webhook.secret)
    assert not is_genuine()(message.headers, message.body + b" ", webhook.secret)
    assert [Delivery.objects.get().state, Delivery.objects.get().status_code] == ["delivered", 204]


def test_a_webhook_reports_only_its_events_and_only_jobs_of_its_user(hook, make_dataset):
    server, webhook = hook
    services.change(webhook, events=["job.done"])
    services.create(make_account("bob", "user"), server.url, ["job.aborted"])
    jobs.abort(make_dataset())
    assert not Delivery.objects.exists()


def test_a_failed_delivery_is_retried_with_the_same_id_and_a_growing_pause(hook, make_dataset):
    server, webhook = hook
    server.status = 500
    jobs.abort(make_dataset())
    for _ in range(3):
        send_due()
        send_due()  # it is not due yet
        make_due()
    server.status = 200
    send_due()
    assert len({message.headers["webhook-id"] for message in server.received}) == 1
    delivery = Delivery.objects.get()
    assert [len(server.received), delivery.attempts, delivery.state] == [4, 4, "delivered"]
    webhook.refresh_from_db()
    assert [webhook.failures, webhook.retry_at] == [0, None]


def test_a_webhook_is_disabled_after_many_failures_and_can_be_switched_on_again(hook, make_dataset, client):
    server, webhook = hook
    server.status = 503
    jobs.abort(make_dataset())
    Webhook.objects.update(failures=sending.MAX_FAILURES - 1)
    send_due()
    [shown] = client.get(WEBHOOKS).json()["webhooks"]
    assert [shown["active"], "503" in shown["disabled_because"]] == [False, True]
    assert Delivery.objects.get().state == "failed"
    changed = client.put(f"{WEBHOOKS}/{webhook.pk}", {"active": "yes"}, "application/json").json()
    assert [changed["active"], changed["failures"], changed["disabled_because"]] == [True, 0, ""]


def test_a_redirect_is_not_followed(ada):
    with receiver() as inner, receiver(302, Location=inner.url) as outer:
        delivery = services.try_out(services.create(ada, outer.url, ["job.done"]))
        send_due()
        delivery.refresh_from_db()
        assert [delivery.state, delivery.status_code, inner.received] == ["failed", 302, []]
        assert "Redirects are not followed" in delivery.error


@pytest.mark.parametrize(
    "networks, url, message",
    [
        (["127.0.0.0/8"], "http://10.0.0.1/hook", "No public internet address"),
        (["127.0.0.0/8"], "ftp://127.0.0.1/hook", "http://"),
        (["127.0.0.0/8"], "http://ada:secret@127.0.0.1/hook", "password"),
        (["127.0.0.0/8"], "http://[::ffff:10.0.0.1]/hook", "No public internet address"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused(client, ada, settings, networks, url, message):
    settings.DIGITS_WEBHOOK_NETWORKS = networks
    assert message in field_errors(client.post(WEBHOOKS, {"url": url}))["url"]


def test_a_server_that_allows_no_addresses_refuses_webhooks_and_sends_none(hook, make_dataset, settings, client):
    server, _ = hook
    jobs.abort(make_dataset())
    settings.DIGITS_WEBHOOK_NETWORKS = []
    assert client.post(WEBHOOKS, {"url": server.url}).status_code == 403
    send_due()
    assert [server.received, Delivery.objects.get().state] == [[], "pending"]


def test_a_webhook_is_made_tried_and_deleted_over_rest(client, ada):
    with receiver() as server:
        made = client.post(WEBHOOKS, {"url": server.url, "events": "job.done,job.error"}).json()
        path = f"{WEBHOOKS}/{made['id']}"
        tried = client.post(f"{path}/test").json()
        send_due()
        [message] = server.received
        assert is_genuine()(message.headers, message.body, made["secret"])
    assert made["events"] == ["job.done", "job.error"]
    assert "secret" not in client.get(path).json()
    [delivery] = client.get(f"{path}/deliveries").json()["deliveries"]
    assert [delivery["id"], delivery["state"], delivery["status_code"]] == [tried["id"], "delivered", 204]
    client.force_login(make_account("bob", "user"))
    assert [client.get(path).status_code, client.delete(path).status_code] == [404, 404]
    client.force_login(ada)
    assert client.delete(path).json() == {"message": "Webhook deleted.", "id": made["id"]}
    assert client.get(path).status_code == 404


def test_only_the_last_deliveries_are_kept(hook, monkeypatch):
    _, webhook = hook
    monkeypatch.setattr(sending, "MAX_KEPT", 2)
    for _ in range(4):
        services.try_out(webhook)
        send_due()
    assert Delivery.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_delivery_of_a_killed_reaper_is_sent_by_the_next_one(ada, make_dataset):
    with receiver() as server:
        services.create(ada, server.url, ["job.aborted"])
        jobs.abort(make_dataset())
        server.hold = threading.Event()
        first = start_reaper()
        wait_until(lambda: server.received)  # and before it has recorded the response
        first.kill()
        first.wait()
        assert Delivery.objects.get().state == "pending"
        server.hold.set()
        Delivery.objects.update(next_attempt_at=F("next_attempt_at") - timedelta(seconds=90))  # the lease is over
        second = start_reaper()
        wait_until(lambda: Delivery.objects.get().state == "delivered")
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert len({message.headers["webhook-id"] for message in server.received}) == 1
    assert len(server.received) == 2


def start_reaper():
    """The process of a reaper on the tests' database."""
    variables = os.environ | database_of_tests() | {"DIGITS_AUTH": "required", "DIGITS_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    return subprocess.Popen([sys.executable, str(Path(ROOT, "manage.py")), "reaper"], env=variables)
