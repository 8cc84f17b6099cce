"""CONTRIBUTING.md: its targets of make and its paths exist."""

import re

from tests.support.server import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def test_every_make_target_in_contributing_exists():
    named = set(re.findall(r"\bmake ([a-z-]+)", PAGE))
    assert {"demo", "quick", "test", "lint", "types", "coverage"} <= named
    assert named - TARGETS == set()


def test_every_path_in_contributing_exists():
    words = re.findall(r"(?:`|\]\()([\w./-]+/[\w./-]*)[`)]", PAGE) + re.findall(r"pytest (tests/\S+)", PAGE)
    paths = [word for word in words if not word.startswith(("api/", ".venv/"))]
    assert len(paths) >= 15
    assert [path for path in paths if not (ROOT / path).exists()] == []
