"""docs/operating.md and the systemd units: everything that they name exists."""

import configparser
import re

import pytest
from django.core.management import get_commands, load_command_class

from digits_project.monitoring.metrics import REGISTRY
from tests.support.server import ROOT

PAGE = (ROOT / "docs" / "operating.md").read_text()
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))


@pytest.mark.django_db
def test_the_page_explains_exactly_the_exported_metrics():
    exported = {family.name for family in REGISTRY.collect()}
    table = re.findall(r"^\| `(digits_\w+)`", PAGE, re.M)
    assert {name.removesuffix("_sum") for name in table} == {
        name.removesuffix("_sum").removesuffix("_count") for name in exported
    }


def test_every_command_in_operating_md_exists():
    named = set(re.findall(r"manage\.py (\w+)", PAGE))
    assert {"backup", "restore", "doctor", "prune"} <= named
    assert named - set(get_commands()) == set()


def test_every_variable_in_operating_md_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    named = {name.removesuffix("_FILE") for name in re.findall(r"\b(?:DIGITS|SECRET|ALLOWED)_[A-Z_]+\b", PAGE)}
    assert [name for name in sorted(named) if name not in readme and name not in ("DIGITS_HOSTS", "DIGITS_DATA")] == []


def test_every_link_in_operating_md_has_a_target():
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    paths = [link.partition("#")[0] for link in links if not link.startswith("#")]
    assert [path for path in paths if not (ROOT / "docs" / path).exists()] == []


def test_every_kind_of_worker_has_a_systemd_unit():
    worker = load_command_class("digits_project.jobs", "worker").create_parser("manage.py", "worker")
    [queues] = [action.choices for action in worker._actions if action.dest == "queue"]
    started = re.findall(r"^ExecStart=.* manage.py worker (\S+)$", "\n".join(unit.read_text() for unit in UNITS), re.M)
    assert sorted(started) == sorted(queues)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_systemd_unit_starts_a_program_that_exists(unit):
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str
    parsed.read(unit)
    command = parsed["Service"]["ExecStart"].split()
    assert re.fullmatch(r"/srv/digits/\.venv/bin/(python|gunicorn)", command[0])
    target = command[2] if command[1] in ("manage.py", "--config") else command[1]
    assert target in get_commands() or target == "-m" or (ROOT / target).exists()
    assert parsed["Service"]["User"] == "digits"
    assert parsed["Service"]["NoNewPrivileges"] == "yes"
    assert f"`{unit.name.replace('@', '@N')}`" in PAGE or unit.name in PAGE
