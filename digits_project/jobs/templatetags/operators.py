"""Template tags and filters of the admin's pages for jobs."""

from datetime import datetime

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from digits_project.jobs.models import Job
from digits_project.jobs.overview import overview

register = template.Library()


@register.simple_tag
def server_overview() -> dict:
    """The template context of the front page."""
    return overview()


@register.filter
def admin_page(job: Job) -> str:
    """The URL of a job's page in the admin."""
    return reverse(f"admin:{job._meta.app_label}_{job._meta.model_name}_change", args=[job.pk])


@register.filter
def found_in(key, found: dict):
    """The value of a key in a dict."""
    return found.get(key)


@register.filter
def percent(share: float) -> str:
    """0.256 as "26 %"."""
    return f"{share:.0%}".replace("%", " %")


@register.filter
def readable(name: str) -> str:
    """A field's name as words."""
    return name.replace("_", " ").capitalize()


@register.filter
def share(part: float) -> str:
    """0.25634 as "25.63 %"."""
    return f"{100 * part:.2f} %"


@register.filter
def points(difference: float) -> str:
    """The difference of two shares: -0.0312 as "−3.12 points"."""
    return f"{100 * difference:+.2f} points".replace("-", "−")


@register.filter
def ago(moment: datetime | None) -> str:
    """The time since a moment: "4 s ago", "3 hours, 2 minutes ago"; a dash for None."""
    if moment is None:
        return "–"
    seconds = (timezone.now() - moment).total_seconds()
    return f"{max(0, seconds):.0f} s ago" if seconds < 60 else f"{timesince(moment)} ago"
