"""The page about the server: versions, engines, devices, terms, licences."""

import platform
import re
from functools import cache
from importlib import metadata
from typing import NamedTuple

from django.db import connection
from django.templatetags.static import static

from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.jobs.models import Device, job_classes
from digits_project.web.terms import TERMS

PARTS = (
    "Django", "djangorestframework", "drf-spectacular", "django-rq", "rq", "redis", "psycopg2-binary", "gunicorn",
    "numpy", "pillow", "pi-heif", "onnxruntime", "lmdb", "prometheus-client", "rich", "mxnet", "onnx", "optuna",
)  # fmt: skip
VENDORED = {"htmx": ("vendor/htmx-2.0.11", "2.0.11", "0BSD"), "uPlot": ("vendor/uplot-1.6.32", "1.6.32", "MIT")}
MAX_LICENCE = 60  # characters; some packages have the whole text in this place


class Software(NamedTuple):
    """A piece of software that the server uses; `text` is the address of its licence's text, "" if it is not here."""

    name: str
    version: str
    licence: str
    text: str = ""


class EngineHere(NamedTuple):
    """An engine and its version here, or why this host lacks it."""

    title: str
    version: str
    problem: str


class AboutPage(PageView):
    """Versions, engines, devices, licences, and what the terms of the pages mean."""

    def get_view_name(self):
        return "Help and about"

    def get(self, request):
        major, minor = connection.get_database_version()
        return PageResponse(
            {},
            "about.html",
            python=platform.python_version(),
            database=f"PostgreSQL {major}.{minor}",
            engines=_engines(),
            devices=list(Device.objects.all()),
            terms=sorted(TERMS.items(), key=lambda term: term[0].lower()),
            parts=_parts(),
        )


def _engines() -> list[EngineHere]:
    """The engines of all kinds of jobs."""
    found = {engine.name: engine for job_class in job_classes() for engine in job_class.engines()}
    return [
        EngineHere(engine.title, engine.version() if engine.is_installed() else "", engine.problem())
        for engine in found.values()
    ]


@cache
def _parts() -> list[Software]:
    installed = [part for name in PARTS if (part := _installed(name))]
    vendored = [
        Software(name, version, licence, static(f"{folder}/LICENSE"))
        for name, (folder, version, licence) in VENDORED.items()
    ]
    return sorted([*installed, *vendored], key=lambda part: part.name.lower())


def _installed(name: str) -> Software | None:
    """The package of this name; None if it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    return Software(about["Name"], about["Version"], _licence(about))


def _licence(about: metadata.PackageMetadata) -> str:
    """The licence that a package's metadata name: an SPDX expression, a name, or a classifier."""
    for field in ("License-Expression", "License"):
        if field in about and 0 < len(about[field]) <= MAX_LICENCE:
            return about[field]
    classifiers = (line for line in about.get_all("Classifier") or [] if line.startswith("License ::"))
    return re.sub(".*:: ", "", next(classifiers, "see the package"))
