"""The page of the slices of an evaluation; the page of the evaluation loads its tables."""

from typing import Any

from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.jobs.api.views import fetch
from inference.judging.image_columns import CATEGORY
from inference.judging.slices import CanNotSlice, Slices, slices_of
from models_app.results import Evaluation

WORST, IN_COLUMN = 8, 10  # slices that are shown
TITLES = {"width_by_height": "Width divided by height", "file_type": "Type of file"}


class SlicePage(PageView):
    """The accuracy of an evaluation on parts of its images."""

    def get_view_name(self):
        return "Where it is weak"

    def get(self, request, job_id):
        evaluation = fetch(Evaluation, job_id)
        try:
            shown = _shown(slices_of(evaluation))
        except CanNotSlice as unable:
            shown = {"why": str(unable)}
        return PageResponse({}, "inference/slices.html", json_address="", evaluation=evaluation, **shown)


def _shown(found: Slices) -> dict[str, Any]:
    return {
        "found": found,
        "worst": [(title_of(one.column), one) for one in found.worst() if one.is_worse][:WORST],
        "columns": [
            (title_of(column.name), column.slices[:IN_COLUMN], len(column.slices) + column.left_off)
            for column in found.columns
            if column.slices and column.name != CATEGORY  # which the page of the evaluation has
        ],
        "missing": [(title_of(column.name), column.why) for column in found.columns if column.why],
    }


def title_of(column: str) -> str:
    """A column as pages call it."""
    return TITLES.get(column, column.capitalize())
