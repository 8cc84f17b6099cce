"""The page of webhooks: made, tried, switched off and deleted by forms, without scripts."""

import re

import pytest

from digits_project.webhooks import sending
from digits_project.webhooks.models import Webhook
from tests.support.api_requests import make_account, token_header
from tests.support.applications.webhook_receiver import receiver

pytestmark = pytest.mark.django_db
BROWSER = {"Accept": "text/html"}
PAGE = "/account/webhooks"


@pytest.fixture
def ada(client, settings):
    """A user who is logged in on a server that sends webhooks to this machine."""
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    ada = make_account("ada", "user")
    client.force_login(ada)
    return ada


def act(client, webhook, action):
    """The status after a button of the page."""
    return client.post(f"{PAGE}/change", {"webhook": webhook.pk, "action": action}, headers=BROWSER).status_code


def test_a_webhook_is_made_tried_switched_off_and_deleted_on_its_page(client, ada):
    with receiver() as server:
        made = client.post(PAGE, {"url": server.url, "done": "yes", "error": "yes"}, headers=BROWSER).content.decode()
        webhook = Webhook.objects.get()
        assert re.search(r'<pre id="secret"[^>]*>(whsec_\S+)</pre>', made)[1].replace("&#x3D;", "=") == webhook.secret
        assert webhook.events == ["job.done", "job.error"]
        assert act(client, webhook, "test") == 302
        sending.attempt(sending.take_due()[0])
        assert len(server.received) == 1
    page = client.get(PAGE, headers=BROWSER).content.decode()
    assert "Delivered" in page
    assert webhook.secret not in page
    assert act(client, webhook, "off") == 302
    assert "It is switched off." in client.get(PAGE, headers=BROWSER).content.decode()
    assert act(client, webhook, "delete") == 302
    assert not Webhook.objects.exists()


def test_the_page_names_the_field_that_is_wrong(client, ada):
    wrong = client.post(PAGE, {"url": "http://10.0.0.1/", "done": "yes"}, headers=BROWSER)
    assert (wrong.status_code, "No public internet address" in wrong.content.decode()) == (400, True)
    assert client.post(PAGE, {"url": "http://127.0.0.1/"}, headers=BROWSER).status_code == 400
    assert not Webhook.objects.exists()


def test_nobody_changes_the_webhook_of_another_or_makes_one_with_a_token(client, ada):
    client.post(PAGE, {"url": "http://127.0.0.1/", "done": "yes"}, headers=BROWSER)
    webhook = Webhook.objects.get()
    eve = make_account("eve", "user")
    client.force_login(eve)
    assert act(client, webhook, "delete") == 404
    client.logout()
    assert client.post(PAGE, {"url": "http://127.0.0.1/"}, headers=token_header(eve)).status_code == 401
    assert Webhook.objects.get() == webhook
