"""The package of the client: what it needs and holds, where its address and token come from, and its bar."""

import ast
import io
import sys

import pytest

import digits_client
from digits_client import Server
from digits_client.connection import Connection
from digits_client.progress import Bar, duration
from tests.support.server import ROOT

FOLDER = ROOT / "client"
PROJECT = (FOLDER / "pyproject.toml").read_text()
VARIABLES = ("DIGITS_URL", "DIGITS_TOKEN")


def imported(path):
    """The names of the packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_the_client_needs_httpx_alone():
    found = set().union(*map(imported, (FOLDER / "digits_client").rglob("*.py")))
    assert found - sys.stdlib_module_names == {"digits_client", "httpx"}
    assert 'dependencies = ["httpx>=0.27,<1"]' in PROJECT


def test_the_wheel_of_the_client_holds_all_its_packages_and_the_mark_of_types():
    packages = {path.parent.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("__init__.py")}
    listed = ", ".join(f'"{package.replace("/", ".")}"' for package in sorted(packages))
    assert f"\npackages = [{listed}]\n" in PROJECT
    assert (FOLDER / "digits_client" / "py.typed").exists()
    assert (FOLDER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_every_public_name_exists():
    assert [name for name in digits_client.__all__ if not hasattr(digits_client, name)] == []


# --- address and token ------------------------------------------------------------------------------------------------
def sent_token(url, token):
    with Server(url, token) as server:
        return server.url, server._connection._headers.get("Authorization")


@pytest.mark.parametrize(
    "environment, url, token, expected",
    [
        ({}, None, None, ("http://127.0.0.1:5000", None)),
        ({"DIGITS_URL": "http://gpu:8000/"}, None, None, ("http://gpu:8000", None)),
        ({"DIGITS_URL": "http://gpu", "DIGITS_TOKEN": "t"}, None, None, ("http://gpu", "Token t")),
        ({"DIGITS_URL": "http://gpu", "DIGITS_TOKEN": "t"}, "http://gpu/", None, ("http://gpu", "Token t")),
        ({"DIGITS_URL": "http://gpu", "DIGITS_TOKEN": "t"}, "http://other", None, ("http://other", None)),
        ({"DIGITS_TOKEN": "t"}, "other:80", None, ("http://other:80", "Token t")),
        ({"DIGITS_TOKEN": "t"}, "https://other", "u", ("https://other", "Token u")),
    ],
)
def test_address_and_token_come_from_the_call_or_the_environment(monkeypatch, environment, url, token, expected):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sent_token(url, token) == expected


@pytest.mark.parametrize("named", ["/uploads/a", "/digits/uploads/a", "http://inside:80/digits/uploads/a"])
def test_an_address_that_the_server_names_is_on_that_server(named):
    connection = Connection("https://host/digits/", None, 1, None)
    assert connection.address(named) == "https://host/digits/uploads/a"
    connection.close()


# --- the bar ----------------------------------------------------------------------------------------------------------
class Terminal(io.StringIO):
    """A terminal, by default one that shows all characters."""

    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_bar_is_drawn_over_itself_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    with Bar("lenet", stream=terminal) as bar:
        bar.show("Running", 0.25, "a fact that is long", final=True)
        bar.show("Done", 1.0, final=True)
    first, second = f"lenet  Running  {'━' * 6}{'─' * 18}  25 %  a fact that", f"lenet  Done  {'━' * 24} 100 %"
    assert terminal.getvalue() == f"\r{first:.59}\r{second:<{len(first[:59])}}\n"


def test_a_bar_has_plain_characters_where_others_can_not_be_shown():
    terminal = Terminal()
    terminal.encoding = "ascii"
    Bar("lenet", stream=terminal).show("Running", 0.5, final=True)
    assert terminal.getvalue() == f"\rlenet  Running  {'#' * 12}{'-' * 12}  50 %"


def test_a_bar_in_a_log_is_a_line_for_each_tenth():
    log = io.StringIO()
    with Bar("lenet", stream=log) as bar:
        for percent in range(101):
            bar.show("Running", percent / 100)
    assert len(log.getvalue().splitlines()) == 11
    assert "\r" not in log.getvalue()


def test_a_bar_that_is_not_wanted_writes_nothing():
    terminal = Terminal()
    with Bar("lenet", stream=terminal, enabled=False) as bar:
        bar.show("Running", 0.5)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("seconds, text", [(7.4, "7 s"), (89, "89 s"), (700, "12 min"), (12_345, "3 h 26 min")])
def test_a_time_is_written_for_people(seconds, text):
    assert duration(seconds) == text
