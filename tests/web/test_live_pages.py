"""Pages that show what happens to jobs as it happens, in a browser, from a real server."""

import pytest

from digits_project.jobs import services
from digits_project.jobs.events import event_log
from digits_project.jobs.models import Status
from tests.support.browser import CHROMIUM, NO_CHROMIUM, PageErrors, chromium
from tests.support.webserver import digits_server

__all__ = ["chromium"]

pytestmark = [pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM), pytest.mark.django_db(transaction=True)]

# The page keeps the state of its connection to the event stream.
KEEP_CONNECTION = "document.addEventListener('digits:connection', (event) => window.connection = event.detail.state)"


@pytest.fixture(scope="module")
def server(django_db_setup):
    """The address of an open server."""
    with digits_server(DIGITS_AUTH="open") as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(chromium):
    page = chromium.new_page()
    page.set_default_timeout(30_000)
    page.add_init_script(KEEP_CONNECTION)
    yield page
    page.close()


def run(job, progress):
    """Let a job run, with this progress."""
    type(job).objects.filter(pk=job.pk).update(status=Status.RUNNING, progress=progress)
    job.refresh_from_db()


def test_the_page_of_a_job_shows_progress_time_left_and_a_new_status_at_once(server, page, make_dataset):
    errors = PageErrors()
    errors.listen(page)
    dataset = make_dataset()
    run(dataset, 0.25)
    page.goto(f"{server}/datasets/{dataset.pk}")
    page.get_by_text("25 %").wait_for()
    page.evaluate("window.isSamePage = true")
    page.wait_for_function("window.connection === 'live'")  # the row still has 25 %, with which the stream begins
    event_log.publish("progress", dataset, progress=0.5, seconds_left=90)
    page.get_by_text("50 % · about 2 minutes left").wait_for()
    type(dataset).objects.filter(pk=dataset.pk).update(status=Status.WAITING)
    services.abort(dataset)
    page.get_by_role("heading", name="Aborted").wait_for()
    assert page.evaluate("window.isSamePage")
    assert errors == []


def test_the_home_page_shows_a_new_job_its_new_name_and_its_place_in_the_queue_at_once(server, page, make_dataset):
    page.goto(server)
    page.get_by_text("Nothing runs.").wait_for()
    make_dataset(name="other photos")
    dataset = make_dataset(name="new photos")
    page.locator("#now").get_by_text("new photos").wait_for()
    services.edit(dataset, name="renamed photos")
    page.locator("#now li", has_text="renamed photos").get_by_text("2", exact=True).wait_for()
    services.set_priority(dataset, 1)
    page.locator("#now li", has_text="renamed photos").get_by_text("1", exact=True).wait_for()


def test_the_page_of_a_job_shows_its_new_name_and_keeps_a_half_typed_note(server, page, make_dataset):
    dataset = make_dataset(name="photos")
    page.goto(f"{server}/datasets/{dataset.pk}")
    page.get_by_text("Rename, or write notes").click()
    page.fill("#id_job_notes", "half a")
    services.edit(dataset, name="better name")
    page.get_by_role("heading", name="better name").wait_for()
    assert page.title().startswith("better name")
    assert page.input_value("#id_job_notes") == "half a"


def test_a_page_polls_where_a_proxy_holds_the_stream_back(server, page, make_dataset):
    dataset = make_dataset()
    page.route("**/events?*", lambda route: route.fulfill(status=502, body=""))
    page.goto(f"{server}/datasets/{dataset.pk}")
    services.abort(dataset)
    page.get_by_role("heading", name="Aborted").wait_for()
