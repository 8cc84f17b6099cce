"""Every page in a browser, light and dark, wide and narrow: axe-core finds no violation, the console no error, nothing
is requested from another host, and nothing is wider than the screen."""

import json
from itertools import product
from pathlib import Path

import pytest

from datasets import reports, revisions
from datasets.imagedb import Changes
from datasets.tasks import build_dataset, make_report
from digits_project.jobs.models import Status
from digits_project.jobs.scheduling import devices
from digits_project.webhooks import services as webhooks
from inference.tasks import evaluate
from models_app import evaluations, searches
from models_app.api.serializers import ClassificationModelForm
from models_app.models import TrainedModel
from tests.support.admin_pages import add_metric
from tests.support.api_requests import make_account
from tests.support.browser import CHROMIUM, NO_CHROMIUM, PageErrors, chromium
from tests.support.samples.row_samples import add_snapshot

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]

AXE = (Path(__file__).resolve().parents[1] / "vendor/axe-core-4.14.1/axe.min.js").read_text()
# Which rules failed, where, and why. Of the rules only that of contrast depends on the colours.
RUN_AXE = """async (scheme) => {
  const rules = scheme === "dark" ? {runOnly: {type: "rule", values: ["color-contrast"]}} : {};
  const found = await axe.run(document, {resultTypes: ["violations"], ...rules});
  const described = ({id, nodes}) => nodes.map((node) => `${id}: ${node.target}: ${node.failureSummary}`);
  return found.violations.flatMap(described);
}"""
SCREENS = [{"width": 1280, "height": 900}, {"width": 390, "height": 844}]
SCHEMES = ["light", "dark"]

# The pages, by a name; {dataset}, {model}, {waiting} and {failed} are ids of jobs. Each new page gets a line here.
PAGES = {
    "home": "/",
    "datasets": "/?tab=datasets",
    "searches": "/?tab=searches&q=nothing",
    "new dataset": "/datasets/images/classification",
    "new dataset from databases": "/datasets/images/generic",
    "dataset": "/datasets/{dataset}",
    "images of a dataset": "/datasets/{dataset}/images?split=val&category=3",
    "an image of a dataset": "/datasets/{dataset}/images/train/5?text=png",
    "report on a dataset": "/datasets/{dataset}/report",
    "findings of a kind": "/datasets/{dataset}/report?finding=near_copies",
    "map of the images": "/datasets/{dataset}/report/map",
    "images like one": "/datasets/{dataset}/report/similar?image=train/5",
    "no report": "/datasets/{failed}/report",
    "revisions of a dataset": "/datasets/{dataset}/revisions",
    "revision of a dataset": "/datasets/{revision}",
    "difference of two revisions": "/datasets/{revision}/diff",
    "failed dataset": "/datasets/{failed}",
    "augmentation": "/datasets/{dataset}/augment_preview",
    "new model": "/models/images/classification",
    "new model, filled": "/models/images/classification?dataset={dataset}&method=custom",
    "new model of your own": "/models/images/generic",
    "model": "/models/{model}",
    "evaluation": "/models/{model}/evaluation?split=val&snapshot_epoch=3",
    "model not evaluated": "/models/{waiting}/evaluation",
    "images of a cell": "/models/{model}/evaluation/cell?split=val&epoch=3&true=3&predicted=3",
    "compare models": "/models/compare?ids={model},{waiting}",
    "disagreements": "/models/compare/disagreements?ids={model},{other}&page_size=5",
    "two evaluations": "/models/compare/evaluations/{evaluation}?other={another}&page_size=5",
    "an evaluation without another": "/models/compare/evaluations/{evaluation}",
    "slices of an evaluation": "/models/compare/evaluations/{evaluation}/slices",
    "evaluation with its calibration": "/models/{other}/evaluation",
    "classify": "/models/images/classification/classify_one?job_id={model}",
    "classify a list": "/models/images/classification/classify_many",
    "pretrained models": "/pretrained_models",
    "new weights": "/pretrained_models/new",
    "list of searches": "/searches",
    "k-fold": "/searches/{k_fold}",
    "account": "/account",
    "webhooks": "/account/webhooks",
    "about": "/about",
    "no such page": "/nothing/here",
    "no such job": "/models/20260101-000000-0000",
}


def k_fold_of(dataset):
    form = ClassificationModelForm(
        data={"model_name": "Three folds", "dataset": dataset.pk, "standard_networks": "lenet", "folds": 3}
    )
    form.is_valid(raise_exception=True)
    return searches.create_jobs("ada", **form.validated_data)[0]


@pytest.fixture
def addresses(make_dataset, make_model):
    """{name: path} of every page, on a server with jobs in all states."""
    devices.register()
    dataset, failed = make_dataset(name="Handwritten digits"), make_dataset(name="Empty folder")
    build_dataset(dataset.pk)
    # Before the report, which would give way to a dataset that waits.
    type(failed).objects.filter(pk=failed.pk).update(status=Status.ERROR, error="There is no image in this folder.")
    make_report(reports.start(type(dataset).objects.get(pk=dataset.pk)).pk)
    changes = Changes(exclude=("train/3", "val/1"), relabel={"train/0": "9", "train/1": "8"})
    revision = revisions.revise(type(dataset).objects.get(pk=dataset.pk), "ada", changes)
    build_dataset(revision.pk)
    model = make_model(dataset, name="LeNet on digits", train_epochs=10)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.RUNNING, progress=0.5)
    waiting = make_model(dataset, name="LeNet, waiting")
    for iteration in range(1, 8):
        add_metric(model, "train", iteration)
        add_metric(model, "val", iteration)
    add_snapshot(model, epoch=3, seed=1)
    other = make_model(dataset, name="LeNet of another seed, with a name that is longer than a thumbnail is wide")
    add_snapshot(other, epoch=2, seed=2)
    for evaluated in (model, other):
        evaluate(evaluations.evaluate(evaluated, "val").pk)
    jobs = {"dataset": dataset, "failed": failed, "model": model, "waiting": waiting, "other": other}
    jobs |= {
        "k_fold": k_fold_of(dataset),
        "revision": revision,
        "evaluation": model.evaluations.get(),
        "another": other.evaluations.get(),
    }
    ids = {name: job.pk for name, job in jobs.items()}
    return {name: path.format(**ids) for name, path in PAGES.items()}


@pytest.fixture
def page(chromium, live_server, client, settings):
    """A page of a browser that is logged in as an operator, who owns all jobs."""
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    ada = make_account("ada", "operator")
    webhooks.try_out(webhooks.create(ada, "http://127.0.0.1/hook"))
    client.force_login(ada)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = chromium.new_context(bypass_csp=True)  # axe is an inline script
    context.set_default_timeout(60_000)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    yield context.new_page()
    context.close()


def faults_of(page, address):
    """What is wrong with a page, on each screen in each colour scheme."""
    page.goto(address, wait_until="load")
    page.evaluate(AXE)
    faults = []
    for screen, scheme in product(SCREENS, SCHEMES):
        page.set_viewport_size(screen)
        page.emulate_media(color_scheme=scheme)
        faults += [f"{screen['width']}, {scheme}: {fault}" for fault in page.evaluate(RUN_AXE, scheme)]
        width = page.evaluate("document.documentElement.scrollWidth")
        faults += [f"{width} pixels wide at {screen['width']}"] if width > screen["width"] else []
    return faults


@pytest.mark.timeout(600)
def test_no_page_has_a_fault_that_axe_finds_or_is_wider_than_the_screen(page, live_server, addresses):
    errors, hosts = PageErrors(), set()
    errors.listen(page)
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    faults = {name: faults_of(page, live_server.url + path) for name, path in addresses.items()}
    page.context.clear_cookies()
    faults["log in"] = faults_of(page, f"{live_server.url}/login?next=/admin/")
    assert json.dumps({name: found for name, found in faults.items() if found}, indent=1) == "{}"
    assert [error for error in errors if "404" not in error] == []  # two of the pages are not there
    assert hosts == {live_server.url.split("/")[2]}
