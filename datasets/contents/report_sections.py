"""What pages show of a dataset's report: sections of findings, and the short form for the dataset's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils.http import urlencode

from datasets import reports
from datasets.contents import gallery, image_map
from datasets.contents.revision_sections import reason_against
from datasets.models import Dataset, DatasetReport
from digits_project.jobs.models import Status

PREVIEW = 6  # findings of a kind on a page with all kinds
MAX_SHOWN = 12  # images of a group of copies
MAX_SENTENCES = 3  # on the page of the dataset

ALL_BUT_FIRST = "Leave out all copies but the first of each picture"


class KindText(NamedTuple):
    """The title of a kind of finding, what it means, and what can be done with all of them together."""

    title: str
    meaning: str
    all_of_them: str = "Leave all of them out"


TEXTS = {
    "exact_copies": KindText(
        "Exact copies", "Images with the same pixels, first those in two splits or categories.", ALL_BUT_FIRST
    ),
    "near_copies": KindText(
        "Near copies",
        "The same picture compressed again, cropped a little, or made brighter or darker.",
        ALL_BUT_FIRST,
    ),
    "label_errors": KindText(
        "Labels that seem wrong",
        "Another category fits the image better, by a classifier that has not seen it.",
        "Give all of them the likelier category",
    ),
    "blank": KindText("Blank", "Images of one colour."),
    "dark": KindText("Dark", "Images that are far darker than the others."),
    "bright": KindText("Bright", "Images that are far brighter than the others."),
    "blurred": KindText("Blurred", "Images that have far fewer edges than the others."),
    "odd_shape": KindText("Of an odd shape", "Images whose file is far wider or taller than the others."),
    "tiny": KindText("Enlarged", "Images whose file is at most half as large as the images of the dataset."),
    "lonely": KindText("Unlike their category", "Images that no other image of their category resembles."),
}


class Section(NamedTuple):
    """Findings of a kind on a page: `address` is that of all of them, `pages` how many pages they take."""

    kind: str
    text: KindText
    total: int
    findings: list[dict[str, Any]]
    hidden: int
    address: str
    page: int
    pages: int


def page_variables(report: DatasetReport, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the template datasets/report.html."""
    kind = asked["finding"]
    kinds = [kind] if kind else reports.kinds_found(report)
    done = report.status == Status.DONE
    return {
        "report": report,
        "chosen": TEXTS[kind] if kind else None,
        "sections": [_section(report, one, asked["page"], whole=bool(kind)) for one in kinds] if done else [],
        "links": [_link(report, one) for one in reports.kinds_found(report)],
        "has_map": not image_map.reason_against(report),
        "outdated": reports.is_outdated(report),
        "version": gallery.version(report.dataset),
        "can_revise": done and not reason_against(report.dataset),
        "categories": report.dataset.category_names,
    }


def short_form(dataset: Dataset) -> dict[str, Any]:
    """What the page of a dataset shows of its report: the first sentences, or that there is none yet."""
    report = reports.find(dataset)
    if report is None:
        can_report, is_awaited = not reports.reason_against(dataset), reports.is_expected(dataset)
        return {"can_report": can_report, "report_changes": is_awaited}
    found = report.summary.get("sentences", []) if report.status == Status.DONE else []
    return {
        "report": report,
        "report_changes": not report.has_ended,
        "sentences": found[:MAX_SENTENCES],
        "more_sentences": max(0, len(found) - MAX_SENTENCES),
        "report_links": [_link(report, kind) for kind in reports.kinds_found(report)],
    }


def _link(report: DatasetReport, kind: str) -> tuple[str, int, str]:
    """The title, the number of findings and the address of a kind."""
    return TEXTS[kind].title, report.summary["counts"][kind], _address(report, kind)


def _address(report: DatasetReport, kind: str) -> str:
    return f"{reverse('dataset-report', args=[report.dataset_id])}?{urlencode({'finding': kind})}"


def _section(report: DatasetReport, kind: str, page: int, whole: bool) -> Section:
    pages = reports.pages(report, kind)
    page = min(page, pages) if whole else 1
    rows = reports.findings(report, kind, page) if whole else reports.findings(report, kind, 1, PREVIEW)
    for row in rows:
        row["more"] = max(0, row.get("count", 0) - MAX_SHOWN)
        row["images"] = row["images"][:MAX_SHOWN]
    count = report.summary["counts"].get(kind, 0)
    hidden = 0 if whole else max(0, count - len(rows))
    return Section(kind, TEXTS[kind], count, rows, hidden, _address(report, kind), page, pages)
