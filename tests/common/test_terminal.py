"""What commands and the demo print, on a terminal and elsewhere."""

import re
import subprocess
import sys

import pytest
from PIL import Image

from digits_project.common.terminal import Screen
from tests.support.server import ROOT
from tests.support.terminal import Pipe, Terminal, lines_shown

HOSTILE = "[red]a[/red] :smile: \033[2J\r\u202eb"
HARMLESS = r"[red]a[/red] :smile: \x1b[2J\r\u202eb"


def show(stream, **environ):
    screen = Screen(stream, environ)
    screen.heading("Train")
    screen.command("curl x \\\n  -d y=1")
    for status, fraction in (("Waiting", 0.0), ("Waiting", 0.0), ("Running", 0.25), ("Running", 0.5), ("Done", 1.0)):
        screen.progress(status, fraction, began=0.0)
    screen.side_by_side(screen.picture(Image.new("L", (28, 28), 255)), "3  99.00 %")
    screen.line("the end")
    return stream.getvalue()


def test_without_a_terminal_a_line_tells_each_new_status_and_nothing_is_drawn_over():
    said = show(Pipe())
    assert re.findall("Waiting|Running|Done", said) == ["Waiting", "Running", "Done"]
    assert not {"\r", "\033"} & set(said)
    assert said.isascii()


def test_on_a_terminal_the_bar_moves_and_is_gone_when_a_line_follows():
    terminal = Terminal()
    said = show(terminal, TERM="xterm")
    assert said.count("Running") == 2
    assert " 50 %" in said
    assert "━" * 15 in said
    assert terminal.lines()[1:5] == ["Train", "  $ curl x \\", "    -d y=1", "  " + "█" * 20]
    assert terminal.lines()[-2:] == ["  the end", ""]
    assert "\033[1mTrain\033[0m" in said


@pytest.mark.parametrize("environ", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_no_color_and_simple_terminals_get_no_colour(environ):
    said = show(Terminal(), **environ)
    assert not re.search(r"\033\[[0-9;]*m", said)
    assert ("━" in said) == ("NO_COLOR" in environ)


@pytest.mark.parametrize("stream, environ", [(Pipe, {}), (Terminal, {"TERM": "xterm"})])
def test_a_name_has_no_effect_on_the_terminal(stream, environ):
    written = stream()
    screen = Screen(written, environ)
    screen.line(HOSTILE)
    screen.table([(HOSTILE, "x")], ("name", "status"))
    screen.passing(HOSTILE)
    screen.heading(HOSTILE)
    shown = re.sub(r"\033\[[0-9;]*m", "", written.getvalue())
    assert shown.startswith(f"  {HARMLESS}\nname{' ' * (len(HARMLESS) - 2)}status\n{HARMLESS}  x\n")
    assert shown.endswith(f"\n{HARMLESS}\n")
    assert "\033[2J" not in shown


def test_columns_are_as_wide_as_their_longest_text_and_no_text_is_cut_off():
    stream = Pipe()
    Screen(stream, {}).table([("1", "a" * 300), ("日本", "b")], ("id", "name"))
    assert stream.getvalue() == f"id    name\n1     {'a' * 300}\n日本  b\n"


def test_a_long_status_stays_on_one_line_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    screen = Screen(terminal, {"TERM": "xterm"})
    screen.progress("status " * 20, 0.5, began=0.0)
    [shown] = terminal.lines()
    assert len(shown) <= 40
    assert shown.startswith("  status")
    screen.line("the end")
    assert terminal.lines() == ["  the end", ""]


def test_bytes_are_counted_by_a_bar_on_a_terminal_only():
    terminal, pipe = Terminal(), Pipe()
    for stream in (terminal, pipe):
        report = Screen(stream, {"TERM": "xterm"}).megabytes()
        for done in (1, 2, 5_000_000):
            report(done, 5_000_000)
    assert "5 of 5 MB" in terminal.getvalue()
    assert pipe.getvalue() == ""


def test_a_program_that_ends_with_a_bar_shows_the_cursor_again():
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from digits_project.common.terminal import Screen
from tests.support.terminal import Terminal
Terminal.close = lambda self: None
stream = type("Stream", (Terminal,), {{"write": lambda self, text: sys.stdout.write(text)}})()
Screen(stream, {{"TERM": "xterm"}}).progress("Running", 0.5, 0.0)
raise SystemExit("stopped")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True)
    written = run.stdout.decode()
    assert run.stderr.strip() == b"stopped"
    assert "Running" in written
    assert lines_shown(written) == (["", ""], True)


def test_a_reader_that_has_gone_is_an_exception_of_the_caller():
    class Gone(Terminal):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Screen(Gone(), {"TERM": "xterm"}).progress("Running", 0.5, began=0.0)
