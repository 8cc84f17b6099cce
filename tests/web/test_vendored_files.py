"""Vendored files of other projects, which pages and tests load."""

import hashlib
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

# SHA-256 of the files in the npm package uplot 1.6.32.
UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
# Of htmx.org 2.0.11 and axe-core 4.14.1.
HTMX = {
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
}
AXE = {
    "axe.min.js": "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
    "LICENSE": "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
    "LICENSE-3RD-PARTY.txt": "4f8563870d0fca38bbc3e00b6f670cb7fa9f380ba9f26a7f7d1184a6b18b1653",
}
AXE_FOLDER = Path(__file__).resolve().parents[1] / "vendor/axe-core-4.14.1"


@pytest.mark.parametrize("name", UPLOT)
def test_a_vendored_file_of_uplot_is_unchanged(name):
    found = Path(finders.find(f"vendor/uplot-1.6.32/{name}"))
    assert hashlib.sha256(found.read_bytes()).hexdigest() == UPLOT[name]


@pytest.mark.parametrize("name", HTMX)
def test_a_vendored_file_of_htmx_is_unchanged(name):
    found = Path(finders.find(f"vendor/htmx-2.0.11/{name}"))
    assert hashlib.sha256(found.read_bytes()).hexdigest() == HTMX[name]


@pytest.mark.parametrize("name", AXE)
def test_a_vendored_file_of_axe_is_unchanged(name):
    assert hashlib.sha256((AXE_FOLDER / name).read_bytes()).hexdigest() == AXE[name]
