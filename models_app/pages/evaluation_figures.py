"""The results of an evaluation as pages show them."""

from collections.abc import Mapping, Sequence

from django.core.paginator import Paginator

from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import is_visible
from models_app.pages.coverage_curve import coverage_curve
from models_app.results import Evaluation

MAX_COLUMNS = 40  # of a matrix on a page
MAX_IN_MATRIX, MAX_CONFUSED = 1000, 100  # of what inference.engine.classification_metrics keeps
MAX_CATEGORIES = 100  # on a page of their table
MAX_ERRORS = 24
SIDE = 200  # of the calibration curve, in the units of its picture
SORTED_BY = {"category": "Category", "precision": "Precision", "recall": "Recall", "f1": "F1", "support": "Images"}


def figures(evaluation: Evaluation, asked: Mapping[str, str]) -> dict:
    """Template context of an evaluation with any number of categories: one page of the table of categories, chosen
    by the query string, and a small confusion matrix with the shade of each cell, in percent of its row."""
    count = len(evaluation.categories)
    return {
        "job": evaluation,
        "done": evaluation.status == Status.DONE,
        "count": count,
        "names": [row["category"] for row in evaluation.categories[:MAX_COLUMNS]],
        "matrix": _matrix(evaluation) if 0 < count <= MAX_COLUMNS and evaluation.confusion_matrix else [],
        "has_matrix": count <= MAX_IN_MATRIX,
        "json": evaluation.get_absolute_url(".json"),
        "calibration": _calibration(evaluation.calibration),
        "coverage": coverage_curve(evaluation),
        "side": SIDE,
        "confused": _confused(evaluation),
        "most_confused": MAX_CONFUSED,
        "table": _table(evaluation.categories, asked),
        "worst": without_paths(evaluation.worst_errors[:MAX_ERRORS]) if _shows_images(evaluation) else [],
        "dataset": evaluation.trained_model.dataset_id,
    }


def _shows_images(evaluation: Evaluation) -> bool:
    """Whether the user may see the images of the evaluation's dataset."""
    return limited_user() is None or is_visible(evaluation.trained_model.dataset)


def _matrix(evaluation: Evaluation) -> list[tuple[str, list[tuple[int, int, bool]]]]:
    """(category, [(images, percent of the row, whether the prediction is right)]) of each row."""
    return [
        (
            figures["category"],
            [(count, round(100 * count / (figures["support"] or 1)), i == j) for j, count in enumerate(row)],
        )
        for i, (figures, row) in enumerate(zip(evaluation.categories, evaluation.confusion_matrix or (), strict=True))
    ]


def _calibration(bins: Sequence[dict]) -> list[dict]:
    """The bins that have images, each with the place and the size of its bar in a square of SIDE."""
    width = SIDE / (len(bins) or 1)
    return [
        one
        | {
            "low": i / len(bins),
            "high": (i + 1) / len(bins),
            "x": round(i * width + 1, 1),
            "width": round(width - 2, 1),
            "y": round(SIDE * (1 - one["accuracy"]), 1),
            "height": round(SIDE * one["accuracy"], 1),
            "at": round(SIDE * one["confidence"], 1),
            "gap": round(SIDE * (1 - one["confidence"]), 1),
        }
        for i, one in enumerate(bins)
        if one["images"]
    ]


def _confused(evaluation: Evaluation) -> list[dict]:
    """The most frequent errors, each with its percentage of the category's images."""
    support = {row["category"]: row["support"] for row in evaluation.categories}
    return [
        pair | {"share": pair["images"] / (support.get(pair["category"]) or 1)} for pair in evaluation.most_confused
    ]


def _table(categories: Sequence[dict], asked: Mapping[str, str]) -> dict:
    """A page of the categories, sorted by the query's `by` (recall: lowest first, -recall: highest first), else in
    their own order."""
    by = asked.get("by", "")
    column = by.removeprefix("-")
    if column in SORTED_BY:
        categories = sorted(categories, key=lambda row: row[column], reverse=by.startswith("-"))
    else:
        by = ""
    page = Paginator(categories, MAX_CATEGORIES).get_page(asked.get("page"))
    return {"by": by, "page": page, "heads": [_head(name, title, by) for name, title in SORTED_BY.items()]}


def _head(name: str, title: str, by: str) -> dict:
    """A column's head: its sort order for screen readers (aria-sort), and the query of a click."""
    if by == name:
        return {"title": f"{title} ↑", "by": f"-{name}", "sort": "ascending", "number": name != "category"}
    if by == f"-{name}":
        return {"title": f"{title} ↓", "by": name, "sort": "descending", "number": name != "category"}
    return {"title": title, "by": name, "sort": "none", "number": name != "category"}
