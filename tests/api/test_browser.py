"""The admin's pages as a browser sees them."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.accounts import audit
from digits_project.jobs.models import Device, Status
from models_app.models import TrainedModel
from models_app.results import Evaluation, Metric
from tests.support.browser import CHROMIUM, SCREENS, WITHOUT, Complaints, chromium
from tests.support.samples.inference_samples import add_snapshot

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=WITHOUT),
]

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def dataset(make_dataset):
    made = make_dataset(name=HOSTILE)
    build_dataset(made.pk)
    Dataset.objects.filter(pk=made.pk).update(warnings=[HOSTILE], notes=HOSTILE)
    made.refresh_from_db()
    return made


@pytest.fixture
def model(dataset, make_model):
    """A model that runs, with a snapshot of random weights and some measurements."""
    model = make_model(dataset, name=HOSTILE, train_epochs=10, notes=HOSTILE)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.RUNNING, progress=0.5, error=HOSTILE)
    (model.directory / "train.log").write_text(HOSTILE)
    for iteration in range(1, 8):
        measure(model, "train", iteration)
    for iteration in (3, 6):
        measure(model, "val", iteration)
    add_snapshot(model, epoch=3, seed=1)
    figures = {"images": 2, "accuracy": 0.5, "top_5_accuracy": 1, "loss": 1, "calibration_error": 0.1}
    row = {"category": HOSTILE, "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    worst = {"record": 0, "path": HOSTILE, "category": HOSTILE, "answer": HOSTILE, "confidence": 90}
    detail = {"categories": [row], "confusion_matrix": [[2]], "worst_errors": [worst], "status": Status.DONE}
    identity = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 3, "split": "val", "name": HOSTILE}
    Evaluation.objects.create(**identity, **figures, **detail)
    model.refresh_from_db()
    return model


def measure(model, split, iteration):
    fields = {"loss": 2 / iteration, "accuracy": iteration / 10, "learning_rate": 0.01 / iteration}
    Metric.objects.create(trained_model=model, split=split, iteration=iteration, epoch=iteration, **fields)


@pytest.fixture
def complaints():
    return Complaints()


@pytest.fixture
def visit(chromium, live_server, admin_client, complaints):
    """Opens a page of the admin as somebody who has logged in; the page."""
    contexts = []

    def visit(path, **screen):
        context = chromium.new_context(**(screen or SCREENS["wide"]))
        contexts.append(context)
        context.set_default_timeout(60_000)
        cookie = admin_client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        page = context.new_page()
        complaints.listen(page)
        page.goto(live_server.url + path)
        return page

    yield visit
    for context in contexts:
        context.close()


def of_model(name, *args):
    return reverse(f"admin:models_app_trainedmodel_{name}", args=args)


def points(page, chart):
    """{line: how many points it has} of a chart."""
    lines = page.locator(f'[data-chart="{chart}"] .d-line')
    lines.first.wait_for(state="attached")
    return {line.get_attribute("data-name"): int(line.get_attribute("data-points")) for line in lines.all()}


@pytest.mark.parametrize("screen", SCREENS)
def test_no_page_complains_or_is_wider_than_the_screen(visit, complaints, model, cpu, make_model, screen):
    other = make_model(model.dataset, name=HOSTILE)
    addresses = ["/admin/"]
    for kind, pk in (
        ("datasets/dataset", model.dataset_id),
        ("models_app/trainedmodel", model.pk),
        ("jobs/device", cpu.pk),
    ):
        addresses += [f"/admin/{kind}/", f"/admin/{kind}/{pk}/change/"]
    addresses += [f"/admin/{kind}/add/" for kind in ("datasets/dataset", "models_app/trainedmodel")]
    addresses += [f"/admin/datasets/dataset/{model.dataset_id}/images/", of_model("delete", model.pk)]
    addresses += [f"{of_model('compare')}?ids={model.pk},{other.pk}", f"{of_model('add')}?clone={model.pk}"]
    addresses += ["/admin/models_app/evaluation/", "/admin/models_app/evaluation/20260101-000000-0001/change/"]
    addresses += ["/", f"/datasets/{model.dataset_id}", f"/models/{model.pk}", f"/models/{model.pk}/evaluation"]
    page = visit("/admin/", **SCREENS[screen])
    origin = page.url.removesuffix("/admin/")
    too_wide = []
    for address in addresses:
        page.goto(origin + address, wait_until="load")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > page.viewport_size["width"]:
            too_wide.append((address, width))
    assert complaints == []
    assert too_wide == []


LISTS = ("datasets/dataset", "models_app/trainedmodel", "models_app/evaluation", "jobs/device", "accounts/auditentry")


@pytest.mark.parametrize("width", [1300, 1024])
def test_no_list_has_to_be_scrolled_sideways(visit, model, cpu, width):
    type(cpu).objects.update(leased_to=model.pk)
    began = timezone.now() - timedelta(hours=30, minutes=5)
    TrainedModel.objects.update(started_at=began, owner="somebody@example.org")
    audit.record("delete", str(model), HOSTILE)
    page = visit("/admin/", viewport={"width": width, "height": 900})
    origin = page.url.removesuffix("/admin/")
    scrolled = []
    for kind in LISTS:
        page.goto(f"{origin}/admin/{kind}/")
        box = page.locator("#changelist .results")
        scrolled.append(box.evaluate("(box) => box.scrollWidth - box.clientWidth"))
    assert scrolled == [0] * len(LISTS)


def test_charts_have_the_points_that_the_json_has(visit, admin_client, model, complaints):
    page = visit(of_model("change", model.pk))
    curves = admin_client.get(f"/models/{model.pk}.json?points=all").json()
    expected = {split: len(curves[f"{split}_outputs"]["epoch"]) for split in ("train", "val")}
    assert points(page, "Loss") == points(page, "Accuracy") == expected == {"train": 7, "val": 2}
    assert points(page, "Learning rate") == {"train": 7}
    assert complaints == []


def test_charts_grow_while_a_model_trains(visit, model):
    page = visit(of_model("change", model.pk))
    assert points(page, "Loss")["val"] == 2
    measure(model, "val", 9)
    page.locator('[data-chart="Loss"] .d-line[data-name="val"][data-points="3"]').wait_for(state="attached")


QUANTITIES = {
    "Validation accuracy": ("val", "accuracy"),
    "Validation loss": ("val", "loss"),
    "Training loss": ("train", "loss"),
    "Training accuracy": ("train", "accuracy"),
    "Learning rate": ("train", "learning_rate"),
    "Validation top-5": ("val", "top-5"),
}


def test_compared_models_lie_in_one_chart_with_the_points_of_their_json(
    visit, admin_client, model, make_model, complaints
):
    other = make_model(model.dataset, name="other", train_epochs=10)
    for iteration in (2, 5, 8):
        measure(other, "train", iteration)
        measure(other, "val", iteration)
    Metric.objects.filter(trained_model=other, split="val").update(outputs={"top-5": 0.9})
    curves = {job.name: admin_client.get(of_model("curves", job.pk)).json()["curves"] for job in (model, other)}
    page = visit(f"{of_model('compare')}?ids={model.pk},{other.pk}")
    choice = page.get_by_label("Quantity")
    points(page, "Validation accuracy")  # what is shown first
    assert [option.inner_text() for option in choice.locator("option").all()] == list(QUANTITIES)
    assert page.locator(".d-chart").count() == 1
    for title, (split, column) in QUANTITIES.items():
        choice.select_option(label=title)
        measured = {name: curves[name][split].get(column, []) for name in curves}
        assert points(page, title) == {name: len(values) for name, values in measured.items() if values}
    assert points(page, "Validation top-5") == {"other": 3}
    assert complaints == []


def test_the_comparison_is_used_with_the_keyboard_and_grows(visit, model, make_model):
    other = make_model(model.dataset, name="other", train_epochs=10)
    measure(other, "val", 5)
    page = visit(f"{of_model('compare')}?ids={model.pk},{other.pk}")
    assert points(page, "Validation accuracy") == {HOSTILE: 2, "other": 1}
    page.get_by_label("Quantity").focus()
    page.keyboard.press("ArrowDown")
    assert points(page, "Validation loss") == {HOSTILE: 2, "other": 1}
    page.get_by_role("button", name="other").focus()
    page.keyboard.press("Enter")
    assert points(page, "Validation loss") == {HOSTILE: 2}
    measure(model, "val", 9)
    page.locator('[data-chart="Validation loss"] .d-line[data-points="3"]').wait_for(state="attached")
    assert page.evaluate("document.activeElement.textContent") == "other"


def test_a_chart_tells_values_zooms_and_goes_back(visit, model):
    page = visit(of_model("change", model.pk))
    chart = page.locator('[data-chart="Loss"]')
    points(page, "Loss")
    plot = chart.locator(".d-plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 60, middle)
    assert re.search(r"epoch 1\s*train: 2", chart.locator(".d-tip").inner_text())
    whole = chart.locator(".d-line").first.get_attribute("d")
    page.mouse.down()
    page.mouse.move(box["x"] + 150, middle)
    page.mouse.up()
    assert chart.locator(".d-line").first.get_attribute("d") != whole
    chart.get_by_role("button", name="Whole").click()
    assert chart.locator(".d-line").first.get_attribute("d") == whole
    chart.get_by_role("button", name="log").click()
    assert chart.locator(".d-line").first.get_attribute("d") != whole


def test_an_image_is_classified_on_the_models_page(visit, admin_client, model, digits_folder, complaints):
    image = digits_folder / "3" / "0.png"
    page = visit(of_model("change", model.pk))
    page.set_input_files("#classify input[type=file]", image)
    page.get_by_role("button", name="Classify", exact=True).click()
    rows = page.locator("#classify [data-answer] tr")
    rows.first.wait_for()
    shown = {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows.all()}
    with image.open("rb") as file:
        form = {"job_id": model.pk, "image_file": file}
        answer = admin_client.post("/models/images/classification/classify_one.json", form).json()["predictions"]
    assert {name: float(text.removesuffix(" %")) for name, text in shown.items()} == pytest.approx(answer)
    assert complaints == []


def test_what_is_no_image_is_refused_in_words(visit, model, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    page = visit(of_model("change", model.pk))
    page.set_input_files("#classify input[type=file]", tmp_path / "text.png")
    page.get_by_role("button", name="Classify", exact=True).click()
    said = page.locator("#classify [data-answer] .d-error")
    said.wait_for()
    assert said.inner_text()


def test_the_learning_rate_is_drawn_as_its_fields_change(visit, dataset, complaints):
    page = visit(of_model("add"))
    chart = '[data-chart="Learning rate"]'
    assert points(page, "Learning rate") == {"Learning Rate": 101}
    assert not page.locator("#id_lr_exp_gamma").is_visible()
    before = page.locator(f"{chart} .d-line").get_attribute("d")
    page.select_option("#id_lr_policy", "exp")
    assert page.locator("#id_lr_exp_gamma").is_visible()
    page.wait_for_function(
        "([chart, d]) => document.querySelector(`${chart} .d-line`).getAttribute('d') !== d", arg=[chart, before]
    )
    page.fill("#id_learning_rate", "0.1,0.01")
    page.locator(f"{chart} .d-line").nth(1).wait_for(state="attached")
    assert complaints == []


def test_a_model_is_created_in_the_browser(visit, dataset):
    page = visit(of_model("add"))
    page.fill("#id_model_name", "from the browser")
    page.fill("#id_dataset", dataset.pk)
    page.fill("#id_train_epochs", "3")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/change/")
    model = TrainedModel.objects.get()
    assert (model.name, model.train_epochs, model.owner) == ("from the browser", 3, "admin")


def test_the_images_of_a_dataset_are_seen(visit, dataset):
    page = visit(f"/admin/datasets/dataset/{dataset.pk}/images/?split=val&category=2")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.d-browse img')].every((image) => image.naturalWidth === 28)"
    )
    assert page.locator(".d-browse img").count() == dataset.splits[1]["per_category"][2]


LONG_HOST = "ip-10-0-12-134.eu-central-1.compute.internal"
LONG_NAME = "Clothing photos of the autumn catalogue, ResNet-50 batch_size:8 learning_rate:0.001"


@pytest.fixture
def busy_server(model, cpu, make_model, live_worker):
    """Long names of hosts, devices and jobs, and a worker that is busy."""
    TrainedModel.objects.update(name=LONG_NAME, owner="somebody@example.org")
    make_model(model.dataset, name=LONG_NAME)
    Device.objects.create(host=LONG_HOST, type=Device.Type.GPU, model_name="NVIDIA RTX 6000 Ada", leased_to=model.pk)
    for queue in ("io", f"train-{LONG_HOST}"):
        worker = live_worker(queue)
        worker.connection.hset(worker.key, mapping={"hostname": LONG_HOST, "state": "busy"})


LINES = """(box) => {
  const range = document.createRange(); range.selectNodeContents(box);
  return new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size }"""


@pytest.mark.parametrize("width, most", [(1280, 3), (1024, 4), (390, 5)])
def test_the_front_page_cuts_off_no_table_and_breaks_no_name_into_many_lines(visit, busy_server, width, most):
    page = visit("/admin/", viewport={"width": width, "height": 1000})
    page.locator("#workers").get_by_text(f"train-{LONG_HOST}").wait_for()
    panels = page.locator("#overview .d-panel").all()
    hidden = {panel.get_attribute("id"): panel.evaluate("(p) => p.scrollWidth - p.clientWidth") for panel in panels}
    assert hidden == dict.fromkeys(hidden, 0)
    lines = [cell.evaluate(LINES) for cell in page.locator("#overview tbody th, #overview tbody td").all()]
    assert max(lines) <= most


def test_the_front_page_follows_what_happens(visit, dataset, make_dataset):
    page = visit("/admin/")
    make_dataset(name="a new job")
    page.locator("#queue").get_by_text("a new job").wait_for()
