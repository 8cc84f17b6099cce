"""The pages of the admin in a browser: layout, errors, classification, creation."""

from datetime import timedelta

import pytest
from django.utils import timezone

from digits_project.accounts import audit
from digits_project.jobs.models import Device
from models_app.models import TrainedModel
from tests.support.admin_pages import HOSTILE, chromium, dataset, model, model_url, page_errors, visit
from tests.support.browser import CHROMIUM, NO_CHROMIUM, SCREENS

__all__ = ["chromium", "dataset", "model", "page_errors", "visit"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]


@pytest.mark.parametrize("screen", SCREENS)
def test_no_page_reports_an_error_or_is_wider_than_the_screen(visit, page_errors, model, cpu, make_model, screen):
    other = make_model(model.dataset, name=HOSTILE)
    paths = ["/admin/"]
    for kind, pk in (
        ("datasets/dataset", model.dataset_id),
        ("models_app/trainedmodel", model.pk),
        ("jobs/device", cpu.pk),
    ):
        paths += [f"/admin/{kind}/", f"/admin/{kind}/{pk}/change/"]
    paths += [f"/admin/{kind}/add/" for kind in ("datasets/dataset", "models_app/trainedmodel")]
    paths += [f"/admin/datasets/dataset/{model.dataset_id}/images/", model_url("delete", model.pk)]
    paths += [f"{model_url('compare')}?ids={model.pk},{other.pk}", f"{model_url('add')}?clone={model.pk}"]
    paths += ["/admin/models_app/evaluation/", "/admin/models_app/evaluation/20260101-000000-0001/change/"]
    paths += ["/", f"/datasets/{model.dataset_id}", f"/models/{model.pk}", f"/models/{model.pk}/evaluation"]
    page = visit("/admin/", **SCREENS[screen])
    origin = page.url.removesuffix("/admin/")
    too_wide = []
    for path in paths:
        page.goto(origin + path, wait_until="load")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > page.viewport_size["width"]:
            too_wide.append((path, width))
    assert page_errors == []
    assert too_wide == []


LISTS = ("datasets/dataset", "models_app/trainedmodel", "models_app/evaluation", "jobs/device", "accounts/auditentry")


def test_the_admin_lists_need_no_horizontal_scrolling(visit, model, cpu):
    type(cpu).objects.update(leased_to=model.pk)
    began = timezone.now() - timedelta(hours=30, minutes=5)
    TrainedModel.objects.update(started_at=began, owner="somebody@example.org")
    audit.record("delete", str(model), HOSTILE)
    page = visit("/admin/")
    origin = page.url.removesuffix("/admin/")
    scrolled = []
    for kind in LISTS:
        page.goto(f"{origin}/admin/{kind}/")
        box = page.locator("#changelist .results")
        for width in (1300, 1024):
            page.set_viewport_size({"width": width, "height": 900})
            scrolled.append(box.evaluate("(box) => box.scrollWidth - box.clientWidth"))
    assert scrolled == [0, 0] * len(LISTS)


def test_the_page_that_creates_datasets_suggests_paths(visit, page_errors, digits_folder):
    page = visit("/admin/datasets/dataset/add/")
    page.locator("[name=folder_train]").press_sequentially(str(digits_folder)[:-1])
    suggestion = page.locator(f'datalist#paths_folder_train option[value="{digits_folder}"]')
    suggestion.wait_for(state="attached")
    assert page_errors == []


def test_an_image_can_be_classified_on_the_admin_page_of_a_model(
    visit, admin_client, model, digits_folder, page_errors
):
    image = digits_folder / "3" / "0.png"
    page = visit(model_url("change", model.pk))
    page.set_input_files("#classify input[type=file]", image)
    page.get_by_role("button", name="Classify", exact=True).click()
    rows = page.locator("#classify [data-answer] tr")
    rows.first.wait_for()
    shown = {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows.all()}
    with image.open("rb") as file:
        form = {"job_id": model.pk, "image_file": file}
        response = admin_client.post("/models/images/classification/classify_one.json", form)
    predictions = response.json()["predictions"]
    assert {name: float(text.removesuffix(" %")) for name, text in shown.items()} == pytest.approx(predictions)
    assert page_errors == []


def test_a_file_that_is_no_image_shows_an_error_on_the_admin_page(visit, model, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    page = visit(model_url("change", model.pk))
    page.set_input_files("#classify input[type=file]", tmp_path / "text.png")
    page.get_by_role("button", name="Classify", exact=True).click()
    error = page.locator("#classify [data-answer] .d-error")
    error.wait_for()
    assert error.inner_text()


def test_a_model_can_be_created_in_the_browser(visit, dataset):
    page = visit(model_url("add"))
    page.fill("#id_model_name", "from the browser")
    page.select_option("#id_dataset", label=dataset.name)
    page.fill("#id_train_epochs", "3")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/change/")
    model = TrainedModel.objects.get()
    assert (model.name, model.train_epochs, model.owner) == ("from the browser", 3, "admin")


def test_the_admin_shows_the_images_of_a_dataset(visit, dataset):
    page = visit(f"/admin/datasets/dataset/{dataset.pk}/images/?split=val&category=2")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.d-browse img')].every((image) => image.naturalWidth === 28)"
    )
    assert page.locator(".d-browse img").count() == dataset.splits[1]["per_category"][2]


LONG_HOST = "ip-10-0-12-134.eu-central-1.compute.internal"
LONG_NAME = "Clothing photos of the autumn catalogue, ResNet-50 batch_size:8 learning_rate:0.001"


@pytest.fixture
def busy_server(model, cpu, make_model, register_worker):
    """A server with long names of hosts, devices and jobs, and with busy workers."""
    TrainedModel.objects.update(name=LONG_NAME, owner="somebody@example.org")
    make_model(model.dataset, name=LONG_NAME)
    Device.objects.create(host=LONG_HOST, type=Device.Type.GPU, model_name="NVIDIA RTX 6000 Ada", leased_to=model.pk)
    for queue in ("io", f"train-{LONG_HOST}"):
        worker = register_worker(queue)
        worker.connection.hset(worker.key, mapping={"hostname": LONG_HOST, "state": "busy"})


# The number of text lines in an element.
COUNT_LINES = """(box) => {
  const range = document.createRange(); range.selectNodeContents(box);
  return new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size }"""


def test_the_admin_front_page_shows_whole_tables_and_few_lines_per_cell(visit, busy_server):
    page = visit("/admin/")
    page.locator("#workers").get_by_text(f"train-{LONG_HOST}").wait_for()
    for width, max_lines in ((1280, 3), (1024, 4), (390, 5)):
        page.set_viewport_size({"width": width, "height": 1000})
        panels = page.locator("#overview .d-panel").all()
        hidden = {panel.get_attribute("id"): panel.evaluate("(p) => p.scrollWidth - p.clientWidth") for panel in panels}
        assert hidden == dict.fromkeys(hidden, 0), width
        lines = [cell.evaluate(COUNT_LINES) for cell in page.locator("#overview tbody th, #overview tbody td").all()]
        assert max(lines) <= max_lines, width


def test_the_admin_front_page_updates_itself(visit, dataset, make_dataset):
    page = visit("/admin/")
    make_dataset(name="a new job")
    page.locator("#queue").get_by_text("a new job").wait_for()
