"""What a revision would change: the page between the ticks in a report and the new dataset."""

from collections.abc import Iterable, Iterator

from django.core.exceptions import ValidationError
from django.http import QueryDict
from rest_framework.parsers import FormParser, MultiPartParser

from datasets import reports, revisions
from datasets.api.revision_form import ImageNames, NewCategories
from datasets.contents.revision_sections import preview_variables
from datasets.imagedb import Changes
from datasets.models import Dataset, DatasetReport
from datasets.report.findings import KINDS, LABEL_ERRORS, MAX_KEPT
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.common.errors import BadInput
from digits_project.jobs.api.views import fetch

COPIES = ("exact_copies", "near_copies")


class RevisionPreview(PageView):
    """The changes that the ticks of a report's page ask for, with the button that makes the revision.

    `tick` is an image of a finding, as `blank:train/17`, and `to:blank:train/17` its new category, empty: left out.
    `all` is a kind of findings. Scripts send `changes` instead of ticks: `train/17` or `train/17=cat` on each line.
    """

    role = Role.USER
    parser_classes = (MultiPartParser, FormParser)

    def post(self, request, job_id):
        dataset = fetch(Dataset, job_id)
        changes, problem = Changes(), ""
        try:
            changes = chosen(dataset, request.data or QueryDict())  # {} without a body
            found = revisions.preview(dataset, changes)
        except (BadInput, revisions.CanNotRevise) as no:
            problem = str(no)
        except ValidationError as wrong:
            problem = " ".join(wrong.messages)
        if problem:
            return PageResponse({}, "datasets/revision_preview.html", problem=problem, dataset=dataset)
        return PageResponse({}, "datasets/revision_preview.html", **preview_variables(dataset, changes, found))


def chosen(dataset: Dataset, sent: QueryDict) -> Changes:
    """The changes of a posted form. What was ticked for one image counts more than what was ticked for all of a kind.

    Of two ticks for one image, one that leaves it out counts more."""
    report, lines = reports.find(dataset), list[str]()
    for kind in sent.getlist("all"):
        lines += _of_kind(report, kind) if report and kind in KINDS else []
    change_of = _by_image(lines)
    change_of |= _by_image([*sent.get("changes", "").splitlines(), *_ticked(sent)])
    left_out = tuple(image for image, category in change_of.items() if not category)
    return Changes(left_out, {image: category for image, category in change_of.items() if category})


def _by_image(lines: Iterable[str]) -> dict[str, str]:
    """The new category of each image; "" for those that are left out."""
    lines = list(dict.fromkeys(lines))
    found = NewCategories().to_internal_value([line for line in lines if "=" in line])
    left_out = ImageNames().to_internal_value([line for line in lines if "=" not in line])
    return found | dict.fromkeys(left_out, "")


def _ticked(sent) -> Iterator[str]:
    for tick in sent.getlist("tick"):
        image, to = tick.rpartition(":")[2], sent.get(f"to:{tick}", "")
        yield f"{image}={to}" if to else image


def _of_kind(report: DatasetReport, kind: str) -> Iterator[str]:
    """The changes for all findings of a kind: copies but the first are left out, wrong labels get the likelier one."""
    for finding in reports.findings(report, kind, size=MAX_KEPT):
        for image in finding["images"][1:] if kind in COPIES else finding["images"]:
            name = f"{image['split']}/{image['record']}"
            yield f"{name}={finding['likelier']}" if kind == LABEL_ERRORS else name
