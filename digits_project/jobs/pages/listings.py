"""The lists of jobs on the home page: which columns each kind of job has, and the rows of one page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import F, Q, QuerySet
from django.db.models.expressions import BaseExpression
from django.utils.http import urlencode

from digits_project.common.job_ids import is_job_id
from digits_project.jobs import quota
from digits_project.jobs.models import LIST_ORDER, Job, job_classes
from digits_project.jobs.overview import time_left
from digits_project.jobs.visibility import visible

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_MEASURED = 10  # folders of unknown size, for one list
GROUP = "group_name"
ORDER = ("datasets", "models", "pretrained_models", "searches")  # of the tabs


@dataclass(frozen=True)
class Column:
    """A column of a list. `order` sorts by it, None if it can't be sorted; `kind` is how its cells look: text, number,
    age, bytes, percent, images, or spark (a list of numbers)."""

    name: str
    title: str
    kind: str = "text"
    order: Any = None
    shown: bool = True  # at first; the user chooses


Facts = Mapping[str, Mapping[str, Any]]


def _nothing(jobs: Sequence[Job]) -> Facts:
    return {}


@dataclass(frozen=True)
class JobListing:
    """How a kind of job is listed.

    `columns` are those besides the columns that all jobs have. `describe` returns their values for the jobs of a page,
    {job id: {column: value}}, with few queries; `curves` returns {job id: losses} of running jobs.
    """

    route: str
    title: str
    create: str = ""  # the route of the page that creates one
    create_title: str = ""
    none: str = ""  # what the page says if there are none
    columns: tuple[Column, ...] = ()
    select: tuple[str, ...] = ()  # further columns of the row that `describe` needs
    related: tuple[str, ...] = ()  # relations that it needs
    describe: Callable[[Sequence[Any]], Facts] = _nothing
    curves: Callable[[Sequence[Any]], Mapping[str, Sequence[float]]] = field(default=lambda jobs: {})
    searched: tuple[str, ...] = ()  # further columns in which the filter looks


NAME = Column("name", "Name", "name", F("name"))
STATUS = Column("status", "Status", "status", F("status"))
LAST = (
    Column("owner", "Owner", order=F("owner")),
    Column(GROUP, "Group", order=F(GROUP)),
    Column("created_at", "Age", "age", F("created_at")),
    Column("disk_bytes", "Size", "bytes", F("disk_bytes")),
    Column("job_id", "Id", "code", shown=False),
)
LISTINGS: dict[str, JobListing] = {}


def register(listing: JobListing) -> None:
    """Set how the jobs of a route are listed."""
    LISTINGS[listing.route] = listing


def listing_of(job_class: type[Job]) -> JobListing:
    """How jobs of this class are listed."""
    plain = JobListing(job_class.ROUTE, str(job_class._meta.verbose_name_plural).capitalize())
    return LISTINGS.get(job_class.ROUTE, plain)


def listed_classes() -> list[type[Job]]:
    """The classes of jobs that the home page lists."""
    found = [job_class for job_class in job_classes() if not job_class.PART_OF]
    return sorted(found, key=lambda job_class: ORDER.index(job_class.ROUTE) if job_class.ROUTE in ORDER else len(ORDER))


def has_groups(job_class: type[Job]) -> bool:
    """Whether jobs of this class can be put into groups by name."""
    return any(column.name == GROUP for column in job_class._meta.fields)


def columns_of(job_class: type[Job]) -> list[Column]:
    """The columns of a list, in order."""
    last = [column for column in LAST if column.name != GROUP or has_groups(job_class)]
    return [NAME, STATUS, *listing_of(job_class).columns, *last]


class WantedList(NamedTuple):
    """What the query string of a list asks for."""

    job_class: type[Job]
    search: str = ""
    sort: str = ""  # a column's name, with "-" in front for descending order; "": running jobs first, then the newest
    page: int = 1
    size: int = PAGE_SIZE

    def address(self, **changes: Any) -> str:
        """The query string of this list, with these changes."""
        wanted: dict[str, Any] = {"tab": self.job_class.ROUTE, "q": self.search, "sort": self.sort, "page": self.page}
        if self.size != PAGE_SIZE:
            wanted["page_size"] = self.size
        wanted |= changes
        return "?" + urlencode({name: value for name, value in wanted.items() if value not in ("", None, 1)})


def asked_by(query: Mapping[str, str]) -> WantedList:
    """The list that a query string asks for; what it can't mean is ignored, because people write it by hand."""
    classes = {job_class.ROUTE: job_class for job_class in listed_classes()}
    job_class = classes.get(query.get("tab", "")) or _first_with_jobs(list(classes.values()))
    sort = query.get("sort", "")
    sortable = {column.name for column in columns_of(job_class) if column.order is not None}
    return WantedList(
        job_class,
        query.get("q", "").strip()[:200],
        sort if sort.removeprefix("-") in sortable else "",
        _between(query.get("page"), 1, 1, 1_000_000),
        _between(query.get("page_size"), PAGE_SIZE, 1, MAX_PAGE_SIZE),
    )


def job_list(asked: WantedList) -> dict[str, Any]:
    """The template context of a list: its columns, the rows of the page, and the addresses of other orders and
    pages."""
    job_class, listing = asked.job_class, listing_of(asked.job_class)
    columns = columns_of(job_class)
    found = _filtered(job_class, asked.search, listing)
    rows = _ordered(found, asked.sort, columns).select_related(*listing.related)
    begin = (asked.page - 1) * asked.size
    wanted = {*job_class.LISTED, "disk_bytes", *listing.select, *([GROUP] if has_groups(job_class) else [])}
    jobs = list(rows.only(*wanted)[begin : begin + asked.size + 1])
    more, jobs = len(jobs) > asked.size, jobs[: asked.size]
    for job in [job for job in jobs if job.disk_bytes is None and job.has_ended][:MAX_MEASURED]:
        job.disk_bytes = quota.measure(job)
    facts = listing.describe(jobs)
    return {
        "tabs": [_tab(other, asked) for other in listed_classes()],
        "listing": listing,
        "asked": asked,
        "address": asked.address(),
        "columns": [(column, *_sorting(asked, column)) for column in columns],
        "rows": [_row(job, columns, facts.get(job.pk, {})) for job in jobs],
        "can_group": has_groups(job_class),
        "first": begin + 1,
        "last": begin + len(jobs),
        "newer": asked.address(page=asked.page - 1) if asked.page > 1 else "",
        "older": asked.address(page=asked.page + 1) if more else "",
    }


def _tab(job_class: type[Job], asked: WantedList) -> dict[str, Any]:
    return {
        "title": listing_of(job_class).title,
        "address": WantedList(job_class).address(),
        "is_current": job_class is asked.job_class,
    }


def _row(job: Job, columns: Sequence[Column], facts: Mapping[str, Any]) -> dict[str, Any]:
    cells = [
        (column, facts[column.name] if column.name in facts else getattr(job, column.name, None)) for column in columns
    ]
    return {"job": job, "cells": cells, "left": time_left(job)}


def _filtered(job_class: type[Job], search: str, listing: JobListing) -> QuerySet:
    """The visible jobs in whose name, owner, group or status every word of the search occurs."""
    rows = visible(job_class)
    columns = ("name", "owner", *listing.searched, *([GROUP] if has_groups(job_class) else []))
    for word in search.split()[:10]:
        found = Q(status__iexact=word) | Q(pk=word if is_job_id(word) else "")
        for column in columns:
            found |= Q(**{f"{column}__icontains": word})
        rows = rows.filter(found)
    return rows


def _ordered(rows: QuerySet, sort: str, columns: Sequence[Column]) -> QuerySet:
    column = next((column for column in columns if sort and column.name == sort.removeprefix("-")), None)
    if column is None:
        return rows.order_by(*LIST_ORDER)
    expression: BaseExpression = column.order
    descends = sort.startswith("-")
    by = expression.desc(nulls_last=True) if descends else expression.asc(nulls_last=True)
    return rows.order_by(by, F("created_at").desc(), "pk")


def _sorting(asked: WantedList, column: Column) -> tuple[str, str]:
    """(the address that sorts by this column or "", the value of aria-sort). Numbers begin with the largest, ages with
    the youngest."""
    if column.order is None:
        return "", ""
    now = {column.name: "ascending", f"-{column.name}": "descending"}.get(asked.sort, "none")
    first = "" if column.kind in ("text", "name", "status") else "-"
    turned = {"ascending": f"-{column.name}", "descending": column.name}
    return asked.address(sort=turned.get(now, f"{first}{column.name}"), page=1), now


def _first_with_jobs(classes: Sequence[type[Job]]) -> type[Job]:
    """The models if there are any, else the datasets, so that the first look shows something."""
    by_route = {job_class.ROUTE: job_class for job_class in classes}
    models = by_route.get("models", classes[0])
    return models if visible(models).exists() else by_route.get("datasets", classes[0])


def _between(text: str | None, default: int, low: int, high: int) -> int:
    known = text and text.isascii() and text.isdecimal() and len(text) < 10
    return min(max(int(text), low), high) if text and known else default
