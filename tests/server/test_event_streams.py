"""Event streams of a real server: what they send, to whom, how they end, and that they hold no thread."""

import contextlib
import http.client
import json
import signal
import socket
from itertools import islice

import pytest
from django.contrib.auth.models import Group, User

from digits_project.accounts import tokens
from digits_project.accounts.models import AccessToken
from digits_project.common.shared_memory.web_processes import shared
from digits_project.jobs import services
from digits_project.jobs.events import event_log
from digits_project.jobs.models import Status
from digits_project.server.response_writer import Client
from digits_project.server.streaming.events_view import MAX_STREAMS_OF_CALLER
from tests.support.api_requests import make_account, token_header
from tests.support.server import wait_until
from tests.support.webserver import digits_server, read_until_close

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20


class Stream:
    """A client of /events: the response, and its messages as (type, data) pairs."""

    def __init__(self, port, query="", headers=None, path="/events"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self.connection.request("GET", f"{path}{query}", headers=headers or {})
        self.response = self.connection.getresponse()
        self.last_id = ""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.connection.close()

    def messages(self):
        """Each message until the end of the stream, without comments."""
        fields = {}
        while line := self.response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            else:
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    yield fields["event"], json.loads(fields["data"])
                fields = {}

    def next(self, type):
        """The data of the next message of this type."""
        return next(data for found, data in self.messages() if found == type)


@pytest.fixture(scope="module")
def server(django_db_setup):
    """The process and the port of a private server, for all tests."""
    with digits_server(DIGITS_PRIVATE="on") as (process, port):
        yield process, port


@pytest.fixture
def port(server):
    return server[1]


@pytest.fixture
def ada():
    return token_header(make_account("ada", "user"))


def test_a_stream_begins_with_the_present_state_and_goes_on_with_changes(port, ada, make_dataset):
    dataset = make_dataset()
    with Stream(port, f"?job={dataset.pk}", ada) as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        began = stream.next("status")
        services.abort(dataset)
        ended = stream.next("status")
    assert (began["job"], began["kind"], began["name"], began["status"]) == (
        dataset.pk,
        "datasets",
        "digits",
        "Waiting",
    )
    assert (ended["job"], ended["status"]) == (dataset.pk, "Aborted")


def test_a_client_that_comes_back_gets_what_it_missed_and_a_reset_if_that_is_unknown(port, ada, make_dataset):
    dataset = make_dataset()
    with Stream(port, "", ada) as stream:
        services.abort(dataset)
        assert stream.next("queue")["waiting"]["datasets"] == 1
        assert stream.next("status")["status"] == "Aborted"
    services.resume(dataset)
    event_log.publish("progress", dataset, progress=0.5)
    with Stream(port, "", ada | {"Last-Event-ID": stream.last_id}) as again:
        assert [again.next("status")["status"], again.next("progress")["progress"]] == ["Waiting", 0.5]
    with Stream(port, f"?since={stream.last_id}&types=progress", ada, "/events.json") as polled:
        assert [event["data"]["progress"] for event in json.load(polled.response)["events"]] == [0.5]
    with Stream(port, "?types=status&since=1-0", ada) as late:
        assert [kind for kind, _ in islice(late.messages(), 3)] == ["start", "reset", "status"]


def test_a_private_job_is_sent_only_to_users_who_may_see_it_and_only_as_long_as_they_may(port, ada, make_dataset):
    group = Group.objects.create(name="vision")
    bob = token_header(make_account("bob", "user", "vision"))
    dataset, other = make_dataset(), make_dataset(name="shared")
    services.share(other, [group])
    with Stream(port, f"?job={dataset.pk}", bob) as refused:
        assert refused.response.status == 404
    with Stream(port, "?types=status", bob) as everything, Stream(port, f"?job={other.pk}", bob) as shared:
        assert everything.next("status")["job"] == other.pk
        services.abort(dataset)
        services.abort(other)
        assert everything.next("status")["job"] == other.pk
        services.share(other, [])
        assert list(shared.messages())[-1][0] == "status"  # until its end


def test_a_stream_ends_when_the_token_is_withdrawn(port, ada):
    with Stream(port, "?types=status", ada) as stream:
        tokens.withdraw(AccessToken.objects.get())
        assert list(stream.messages()) == [("start", {})]
    with Stream(port, "", ada) as again:
        assert again.response.status == 401


def test_streams_hold_no_threads(port, ada, make_dataset):
    dataset = make_dataset()
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(Stream(port, "?types=status", ada)) for _ in range(16)]  # there are 8 threads
        with Stream(port, "", ada, "/index.json") as request:
            assert request.response.status == 200
        services.abort(dataset)
        wait_until(lambda: {stream.next("status")["job"] for stream in streams} == {dataset.pk})


def test_a_user_has_a_limited_number_of_streams(client):
    client.force_login(make_account("bob", "viewer"))
    share = f"event streams of user {User.objects.get().pk}"
    shared().hold(share, MAX_STREAMS_OF_CALLER)
    with Client() as sock:
        assert client.get("/events", **{"gunicorn.socket": sock}).status_code == 429
        shared().hold(share, -1)
        response = client.get("/events", **{"gunicorn.socket": sock})
    response.close()  # as if the client hung up
    assert [response.status_code, shared().hold(share, 0)] == [200, MAX_STREAMS_OF_CALLER - 1]


def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(port, ada, make_dataset):
    dataset = make_dataset()
    with Stream(port, "?types=progress", ada) as reading, socket.create_connection(("127.0.0.1", port)) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(f"GET /events HTTP/1.0\r\nAuthorization: {ada['Authorization']}\r\n\r\n".encode())
        assert stuck.recv(15) == b"HTTP/1.0 200 OK"
        assert next(reading.messages()) == ("start", {})
        for batch in range(15):
            for _ in range(50):
                event_log.publish("progress", dataset, progress=batch, text="x" * 1000)
            assert [data["progress"] for _, data in islice(reading.messages(), 50)] == [batch] * 50
        assert len(read_until_close(stuck)) < 15 * 50 * 1000


def test_a_reload_of_the_server_ends_streams_completely(server, ada):
    process, port = server
    with Stream(port, "?types=status", ada) as stream:
        process.send_signal(signal.SIGHUP)
        assert list(stream.messages()) == [("start", {})]  # http.client raises IncompleteRead without the last chunk


def test_a_job_goes_on_without_redis(make_dataset, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    event_log._client.cache_clear()
    try:
        dataset = make_dataset()
        services.abort(dataset)
    finally:
        event_log._client.cache_clear()
        event_log._Pause.until = 0.0
    assert dataset.status == Status.ABORTED
