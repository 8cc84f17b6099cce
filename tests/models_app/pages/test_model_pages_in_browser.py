"""The pages of models in a browser: a model is planned and created, followed, compared and asked."""

import re

import pytest

from models_app.models import TrainedModel
from tests.support.admin_pages import add_metric, chromium, dataset, model, page_errors, visit
from tests.support.browser import CHROMIUM, NO_CHROMIUM

__all__ = ["chromium", "dataset", "model", "page_errors", "visit"]

USE = {
    "images_per_second": 500,
    "cores": 1.5,
    "memory": 1 << 30,
    "devices": [{"device": "gpu0", "load": 93, "memory_used": 3 << 30, "memory": 16 << 30}],
}
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]


def test_a_form_is_planned_while_it_is_filled_in_and_keeps_what_was_typed(visit, dataset, page_errors):
    page = visit(f"/models/images/classification?dataset={dataset.pk}")
    assert page.locator("#id_model_name").input_value().endswith(", auto")
    page.locator("#plan").get_by_text("Time").wait_for()
    page.get_by_role("radio", name=re.compile("^Scratch")).check()
    page.locator('[data-field="learning_rate"] [data-recipe-sets]').get_by_text("the recipe sets 0.01").wait_for(
        state="attached"
    )
    page.locator("#group-schedule summary").click()
    page.fill("#id_train_epochs", "-3")
    page.locator("#id_train_epochs_error").get_by_text(re.compile("greater than or equal")).wait_for()
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("#problem a").wait_for()
    assert page.locator("#id_train_epochs").input_value() == "-3"
    page.fill("#id_train_epochs", "3")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile(r"/models/\d+"))
    assert TrainedModel.objects.get().train_epochs == 3
    assert [error for error in page_errors if "400" not in error] == []


def test_the_error_of_a_prototxt_is_marked_at_its_line(visit, dataset):
    page = visit(f"/models/images/classification?dataset={dataset.pk}")
    page.locator("[data-network] > summary").click()
    page.get_by_role("radio", name=re.compile("^Your own network")).check()
    page.fill("#id_custom_network", 'layer {\n  name: "one"\n  type: "Nothing"\n}')
    page.locator(".code-lines .wrong").wait_for()
    assert page.locator(".code-lines span").count() == 4


def test_a_model_is_followed_and_classifies_dropped_images(visit, model, digits_folder, page_errors):
    page = visit(f"/models/{model.pk}")
    chart = page.locator('#curves [data-chart="Loss"]')
    chart.wait_for()
    count = "(figure) => figure.uplot.data[2].filter(Number.isFinite).length"
    assert chart.evaluate(count) == 2
    page.locator("#smoothing").fill("0.5")
    assert chart.evaluate("(figure) => figure.uplot.data[1][1]") == pytest.approx((2 + 1) / 2)
    add_metric(model, "val", 9)
    page.evaluate("document.dispatchEvent(new CustomEvent('digits:metrics', {detail: {}}))")
    page.wait_for_function(f"() => ({count})(document.querySelector('#curves [data-chart=Loss]')) === 3")
    page.set_input_files("#classify input[type=file]", [digits_folder / "3" / "0.png", digits_folder / "4" / "0.png"])
    page.wait_for_function("() => document.querySelectorAll('#classify .results .predictions').length === 2")
    page.get_by_role("button", name="Why").first.click()
    page.get_by_text("the more it speaks for").wait_for()
    assert page.locator("#classify .overlaid img").count() == 2
    TrainedModel.objects.filter(pk=model.pk).update(device_use=USE)
    page.evaluate("document.dispatchEvent(new CustomEvent('digits:progress', {detail: {progress: 0.5}}))")
    page.locator("#live").get_by_text("93 %").wait_for()
    assert "3.0 GB of 16.0 GB" in page.locator("#live").inner_text().replace("\xa0", " ")
    page.get_by_role("button", name="Keep the snapshot of epoch 3").click()
    page.locator("#snapshots").get_by_text("kept", exact=True).wait_for()
    page.get_by_role("button", name="Stop early and keep the best").click()
    page.get_by_role("button", name="Stop early", exact=True).click()
    page.get_by_text("The training ends after its current step, as requested").wait_for()
    assert page.get_by_role("button", name="Stop early and keep the best").count() == 0
    page.locator(".matrix a").first.press(
        "Enter"
    )  # the keyboard leads to the images of a cell, and to an error's image
    page.wait_for_url("**/evaluation/cell?**")
    page.go_back()
    page.locator(".judged").first.press("Enter")
    page.wait_for_url("**/images/val/0")
    assert page_errors == []


def test_the_camera_takes_pictures_and_is_freed(visit, model, page_errors):
    page = visit(f"/models/images/classification/classify_one?job_id={model.pk}")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("alert").get_by_text("allow it in the settings").wait_for()
    page.context.grant_permissions(["camera"])
    page.get_by_role("button", name="Use the camera").click()
    for count in (1, 2):
        page.get_by_role("button", name="Classify what it sees").click()
        page.locator("[data-count]").get_by_text(f"{count} of {count} image").wait_for()
    assert page.locator("#classify .results .predictions").count() == 2
    bars = page.locator("#classify .results .predictions").first.locator("progress")
    percents = bars.evaluate_all("(bars) => bars.map((bar) => bar.value)")
    assert percents == sorted(percents, reverse=True)
    assert page.locator("#classify .results .dropped").first.evaluate("(image) => image.naturalWidth") > 0
    page.evaluate("window.track = document.querySelector('[data-video]').srcObject.getTracks()[0]")
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("window.track.readyState") == "ended"
    assert not page.locator("[data-video]").is_visible()
    assert page_errors == []


def test_many_images_are_classified_sorted_and_saved(visit, model, digits_folder, tmp_path, page_errors):
    (tmp_path / "text.png").write_text("no image")
    images = [*sorted((digits_folder / "3").iterdir())[:3], tmp_path / "text.png"]
    page = visit(f"/models/images/classification/classify_one?job_id={model.pk}")
    page.set_input_files("#classify [data-files]", images)
    page.locator("[data-count]").get_by_text("4 of 4 images").wait_for()
    page.select_option("#classify [data-sort]", "least")
    first = page.locator("#classify .results > li").first
    assert first.locator(".field-error").count() == 1
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    lines = started.value.path().read_text().splitlines()
    assert (lines[0], len(lines)) == ("image,category,percent", 4)
    assert [error for error in page_errors if "422" not in error] == []
