"""The charts of the admin's pages, which uPlot draws in a browser."""

import pytest

from models_app.results import Metric
from tests.support.admin_pages import HOSTILE, add_metric, chromium, dataset, model, model_url, page_errors, visit
from tests.support.browser import CHROMIUM, NO_CHROMIUM, SCREENS

__all__ = ["chromium", "dataset", "model", "page_errors", "visit"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason=NO_CHROMIUM),
]


# {line: number of points} of the visible lines of a uPlot chart.
POINTS = """({uplot}) => Object.fromEntries(uplot.series.slice(1).map(({name, show}, i) => (
  [name, show && uplot.data[i + 1].filter(Number.isFinite).length])).filter(([, count]) => count !== false))"""
RANGE = "({uplot}) => [uplot.scales.x.min, uplot.scales.x.max]"
# The number of pixels of a chart that have the colour of a line.
COLOURED = """(figure, line) => {
  const {ctx} = figure.uplot, brush = document.createElement("canvas").getContext("2d");
  brush.fillStyle = getComputedStyle(figure).getPropertyValue(`--d-series-${line}`).trim(); brush.fillRect(0, 0, 1, 1);
  const wanted = brush.getImageData(0, 0, 1, 1).data;
  const {data} = ctx.getImageData(0, 0, ctx.canvas.width, ctx.canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) count += [0, 1, 2, 3].every((part) => data[i + part] === wanted[part]);
  return count }"""


def chart_of(page, title):
    return page.locator(f'[data-chart="{title}"]')


def await_points(page, title, line, count):
    """Wait until a line of a chart has `count` points."""
    chart_of(page, title).wait_for()
    reached = """([title, line, count]) => {
      const figure = document.querySelector(`[data-chart="${title}"]`);
      return (POINTS)(figure)[line] === count }"""
    page.wait_for_function(reached.replace("POINTS", POINTS), arg=[title, line, count])


def points(page, title):
    """{line: number of points} of the visible lines of a chart, once it has at least one line."""
    chart_of(page, title).wait_for()
    drawn = '(title) => document.querySelector(`[data-chart="${title}"]`).uplot.series.length > 1'
    page.wait_for_function(drawn, arg=title)
    return chart_of(page, title).evaluate(POINTS)


def test_charts_show_the_points_of_the_json(visit, admin_client, model, page_errors):
    page = visit(model_url("change", model.pk))
    curves = admin_client.get(f"/models/{model.pk}.json?points=all").json()
    expected = {split: len(curves[f"{split}_outputs"]["epoch"]) for split in ("train", "val")}
    assert points(page, "Loss") == points(page, "Accuracy") == expected == {"train": 7, "val": 2}
    assert points(page, "Learning rate") == {"train": 7}
    assert page_errors == []


def test_charts_are_updated_while_a_model_trains(visit, model):
    page = visit(model_url("change", model.pk))
    assert points(page, "Loss")["val"] == 2
    add_metric(model, "val", 9)
    await_points(page, "Loss", "val", 3)


QUANTITIES = {
    "Validation accuracy": ("val", "accuracy"),
    "Validation loss": ("val", "loss"),
    "Training loss": ("train", "loss"),
    "Training accuracy": ("train", "accuracy"),
    "Learning rate": ("train", "learning_rate"),
    "Validation top-5": ("val", "top-5"),
}


def test_compared_models_share_one_chart_with_the_points_of_their_json(
    visit, admin_client, model, make_model, page_errors
):
    other = make_model(model.dataset, name="other", train_epochs=10)
    for iteration in (2, 5, 8):
        add_metric(other, "train", iteration)
        add_metric(other, "val", iteration)
    Metric.objects.filter(trained_model=other, split="val").update(outputs={"top-5": 0.9})
    curves = {job.name: admin_client.get(model_url("curves", job.pk)).json()["curves"] for job in (model, other)}
    page = visit(f"{model_url('compare')}?ids={model.pk},{other.pk}")
    choice = page.get_by_label("Quantity")
    points(page, "Validation accuracy")  # the quantity that is shown first
    assert [option.inner_text() for option in choice.locator("option").all()] == list(QUANTITIES)
    assert page.locator(".d-chart").count() == 1
    for title, (split, column) in QUANTITIES.items():
        choice.select_option(label=title)
        measured = {name: curves[name][split].get(column, []) for name in curves}
        assert points(page, title) == {name: len(values) for name, values in measured.items() if values}
    assert points(page, "Validation top-5") == {"other": 3}
    assert page_errors == []


def test_the_comparison_chart_can_be_used_with_the_keyboard_and_is_updated(visit, model, make_model):
    other = make_model(model.dataset, name="other", train_epochs=10)
    add_metric(other, "val", 5)
    page = visit(f"{model_url('compare')}?ids={model.pk},{other.pk}")
    assert points(page, "Validation accuracy") == {HOSTILE: 2, "other": 1}
    page.get_by_label("Quantity").focus()
    page.keyboard.press("ArrowDown")
    assert points(page, "Validation loss") == {HOSTILE: 2, "other": 1}
    page.get_by_role("button", name="other").focus()
    page.keyboard.press("Enter")
    assert points(page, "Validation loss") == {HOSTILE: 2}
    add_metric(model, "val", 9)
    await_points(page, "Validation loss", HOSTILE, 3)
    assert page.evaluate("document.activeElement.textContent") == "other"


def drag(page, box):
    """Drag the mouse over a part of the plot that starts at epoch 1."""
    middle = box["y"] + 100
    page.mouse.move(box["x"] + 60, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, middle)
    page.mouse.up()


def plot_of(chart):
    chart.scroll_into_view_if_needed()
    return chart.locator(".d-plot").bounding_box()


def test_a_chart_shows_values_zooms_in_and_zooms_out(visit, model):
    page = visit(model_url("change", model.pk))
    points(page, "Loss")
    chart = chart_of(page, "Loss")
    box = plot_of(chart)
    page.mouse.move(box["x"] + 60, box["y"] + 100)
    values = {row.locator("th").inner_text(): row.locator("td").inner_text() for row in chart.locator("tr").all()}
    assert values == {"epoch": "1", "train": "2", "val": "0.6667"}
    assert chart.evaluate(RANGE) == [1, 7]
    drag(page, box)
    left, right = chart.evaluate(RANGE)
    assert 1 <= left < right < 4
    chart.get_by_role("button", name="Whole").click()
    assert chart.evaluate(RANGE) == [1, 7]
    drag(page, box)
    page.mouse.dblclick(box["x"] + 90, box["y"] + 90)
    assert chart.evaluate(RANGE) == [1, 7]
    assert not chart.get_by_role("button", name="Whole").is_visible()


def test_a_chart_keeps_its_zoom_when_points_or_a_logarithmic_scale_are_added(visit, model):
    page = visit(model_url("change", model.pk))
    points(page, "Loss")
    chart = chart_of(page, "Loss")
    drag(page, plot_of(chart))
    zoomed = chart.evaluate(RANGE)
    add_metric(model, "val", 9)
    await_points(page, "Loss", "val", 3)
    assert chart.evaluate(RANGE) == zoomed
    chart.get_by_role("button", name="log").click()
    assert (chart.evaluate(RANGE), chart.evaluate("({uplot}) => uplot.scales.y.distr")) == (zoomed, 3)
    chart.get_by_role("button", name="linear").click()
    assert (chart.evaluate(RANGE), chart.evaluate("({uplot}) => uplot.scales.y.distr")) == (zoomed, 1)


def test_a_logarithmic_chart_omits_values_that_are_not_positive(visit, model):
    Metric.objects.filter(trained_model=model, split="train", iteration__in=(2, 3)).update(loss=0)
    page = visit(model_url("change", model.pk))
    assert points(page, "Loss") == {"train": 7, "val": 2}
    chart_of(page, "Loss").get_by_role("button", name="log").click()
    assert points(page, "Loss") == {"train": 5, "val": 2}


def test_a_chart_can_be_zoomed_on_a_touch_screen(visit, model):
    page = visit(model_url("change", model.pk), **SCREENS["phone"], has_touch=True)
    points(page, "Loss")
    chart = chart_of(page, "Loss")
    box = plot_of(chart)
    finger = page.context.new_cdp_session(page)
    for kind, x in (("touchStart", 80), ("touchMove", 120), ("touchMove", 200), ("touchEnd", None)):
        touched = [] if x is None else [{"x": box["x"] + x, "y": box["y"] + 100}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})
    chart.get_by_role("button", name="Whole").wait_for()
    left, right = chart.evaluate(RANGE)
    assert 1 < left < right < 5


def test_a_chart_uses_the_colours_of_the_theme(visit, model):
    page = visit(model_url("change", model.pk))
    points(page, "Loss")
    chart = chart_of(page, "Loss")
    for scheme in ("light", "dark", "light"):
        page.emulate_media(color_scheme=scheme)
        for line in (1, 2):
            redrawn = f"([figure, line]) => ({COLOURED})(figure, line) > 50"
            page.wait_for_function(redrawn, arg=[chart.element_handle(), line])


def test_a_chart_follows_the_width_of_the_window(visit, model):
    page = visit(model_url("change", model.pk))
    points(page, "Loss")
    canvas = chart_of(page, "Loss").locator("canvas")
    width_before = canvas.bounding_box()["width"]
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('[data-chart=Loss] canvas').clientWidth < 390")
    assert canvas.bounding_box()["width"] < 390 < width_before


def test_the_learning_rate_chart_follows_the_fields_of_the_form(visit, dataset, page_errors):
    page = visit(model_url("add"))
    assert points(page, "Learning rate") == {"Learning Rate": 101}
    assert not page.locator("#id_lr_exp_gamma").is_visible()
    rates = "document.querySelector('[data-chart=\"Learning rate\"]').uplot.data[1]"
    before = page.evaluate(f"() => {rates}.join()")
    page.select_option("#id_lr_policy", "exp")
    assert page.locator("#id_lr_exp_gamma").is_visible()
    page.wait_for_function(f"(before) => {rates}.join() !== before", arg=before)
    page.select_option("#id_lr_policy", "one_cycle")
    assert page.locator("#id_lr_one_cycle_peak").is_visible()
    page.fill("#id_learning_rate", "0.1,0.01")
    page.wait_for_function(f"() => {rates.replace('data[1]', 'data.length')} === 3")
    assert page_errors == []
