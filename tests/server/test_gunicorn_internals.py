"""Undocumented parts of gunicorn that the web worker uses. Decision 55 lists them."""

import inspect
import re
from importlib.metadata import version

import pytest
from gunicorn import util
from gunicorn.http import body, errors, message, unreader
from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker

from digits_project.server.event_loop import ReadingWorker
from digits_project.server.gunicorn_worker import WebWorker
from tests.support.server import ROOT

DECISION = (ROOT / "docs/decisions/0055-private-parts-of-gunicorn.md").read_text()
LISTED = dict(re.findall(r"^\| `(\w+)(\(.*?\))` \|", DECISION, re.MULTILINE))  # the first table: {method: signature}
OVERRIDES = {name for worker in (WebWorker, ReadingWorker) for name in vars(worker) if not name.startswith("__")}
SIGNATURES = {
    ThreadWorker.handle_request: "(self, req, conn)",
    ThreadWorker.handle_error: "(self, req, client, addr, exc)",
    PollableMethodQueue.defer: "(self, callback, *args)",
    message.Request.__init__: "(self, cfg, unreader, peer_addr, req_number=1)",
    message.Request.force_close: "(self)",
    unreader.IterUnreader.__init__: "(self, iterable)",
    body.ChunkedReader.__init__: "(self, req, unreader)",
    util.close: "(sock)",
    util.unquote_to_wsgi_str: "(string)",
}
STATE = ("poller", "tpool", "method_queue", "nr_conns", "worker_connections", "keepalived_conns")


def test_gunicorn_has_a_version_that_the_worker_was_written_for():
    assert version("gunicorn").startswith("27.")


def test_the_decision_lists_each_method_that_the_worker_overrides():
    assert {name for name in OVERRIDES if hasattr(ThreadWorker, name)} == set(LISTED)


@pytest.mark.parametrize("name", LISTED)
def test_gunicorn_has_an_overridden_method_with_its_signature(name):
    assert str(inspect.signature(getattr(ThreadWorker, name))) == LISTED[name]


@pytest.mark.parametrize("name", LISTED)
def test_an_overriding_method_takes_the_arguments_of_gunicorns(name):
    theirs, ours = (inspect.signature(getattr(worker, name)).parameters for worker in (ThreadWorker, WebWorker))
    assert [(parameter.kind, parameter.default) for parameter in ours.values()] == [
        (parameter.kind, parameter.default) for parameter in theirs.values()
    ]


@pytest.mark.parametrize("used", SIGNATURES, ids=lambda used: used.__qualname__)
def test_gunicorn_has_a_used_function_with_its_signature(used):
    assert str(inspect.signature(used)) == SIGNATURES[used]


@pytest.mark.parametrize("name", STATE)
def test_gunicorns_worker_keeps_its_state_under_a_name_that_the_loop_uses(name):
    assert f"self.{name} = " in inspect.getsource(ThreadWorker.__init__)


def test_the_loop_calls_the_methods_that_the_worker_overrides():
    loop = inspect.getsource(ThreadWorker.run) + inspect.getsource(ThreadWorker.init_process)
    called = ("notify", "wait_for_and_dispatch_events", "murder_keepalived", "murder_pending", "_cap_keepalive")
    assert [name for name in (*called, "get_thread_pool") if f"self.{name}(" not in loop] == []


def test_gunicorns_request_knows_whether_its_client_expects_100_continue():
    assert message.Request._expected_100_continue is False
    assert body.CHUNK_EXT_RE.fullmatch(b";name=value")
    assert issubclass(errors.NoMoreData, OSError)
