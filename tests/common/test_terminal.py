"""The output of commands and of the demo, on a terminal and in a pipe."""

import re
import subprocess
import sys

import pytest
from PIL import Image

from digits_project.common.terminal import Screen
from tests.support.console import Pipe, Terminal, displayed_lines
from tests.support.server import ROOT

HOSTILE = "[red]a[/red] :smile: \033[2J\r\u202eb"
ESCAPED = r"[red]a[/red] :smile: \x1b[2J\r\u202eb"


def show(stream, **environ):
    """The output of a screen that shows a heading, a command, a bar, a picture and a line."""
    screen = Screen(stream, environ)
    screen.heading("Train")
    screen.command("curl x \\\n  -d y=1")
    for status, fraction in (("Waiting", 0.0), ("Waiting", 0.0), ("Running", 0.25), ("Running", 0.5), ("Done", 1.0)):
        screen.progress(status, fraction, began=0.0)
    screen.side_by_side(screen.picture(Image.new("L", (28, 28), 255)), "3  99.00 %")
    screen.line("the end")
    return stream.getvalue()


def test_a_pipe_gets_one_line_for_each_new_status():
    output = show(Pipe())
    assert re.findall("Waiting|Running|Done", output) == ["Waiting", "Running", "Done"]
    assert not {"\r", "\033"} & set(output)
    assert output.isascii()


def test_a_terminal_shows_a_moving_bar_that_the_next_line_replaces():
    terminal = Terminal()
    output = show(terminal, TERM="xterm")
    assert output.count("Running") == 2
    assert " 50 %" in output
    assert "━" * 15 in output
    assert terminal.lines()[1:5] == ["Train", "  $ curl x \\", "    -d y=1", "  " + "█" * 20]
    assert terminal.lines()[-2:] == ["  the end", ""]
    assert "\033[1mTrain\033[0m" in output


@pytest.mark.parametrize("environ", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_simple_terminals_and_no_color_get_no_colours(environ):
    output = show(Terminal(), **environ)
    assert not re.search(r"\033\[[0-9;]*m", output)
    assert ("━" in output) == ("NO_COLOR" in environ)


@pytest.mark.parametrize("stream, environ", [(Pipe, {}), (Terminal, {"TERM": "xterm"})])
def test_control_characters_in_a_name_are_escaped_on_the_terminal(stream, environ):
    output = stream()
    screen = Screen(output, environ)
    screen.line(HOSTILE)
    screen.table([(HOSTILE, "x")], ("name", "status"))
    screen.passing(HOSTILE)
    screen.heading(HOSTILE)
    shown = re.sub(r"\033\[[0-9;]*m", "", output.getvalue())
    assert shown.startswith(f"  {ESCAPED}\nname{' ' * (len(ESCAPED) - 2)}status\n{ESCAPED}  x\n")
    assert shown.endswith(f"\n{ESCAPED}\n")
    assert "\033[2J" not in shown


def test_table_columns_fit_their_longest_text():
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


def test_a_download_bar_is_shown_only_on_a_terminal():
    terminal, pipe = Terminal(), Pipe()
    for stream in (terminal, pipe):
        report = Screen(stream, {"TERM": "xterm"}).megabytes()
        for done in (1, 2, 5_000_000):
            report(done, 5_000_000)
    assert "5 of 5 MB" in terminal.getvalue()
    assert pipe.getvalue() == ""


def test_a_program_that_exits_while_it_shows_a_bar_restores_the_cursor():
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from digits_project.common.terminal import Screen
from tests.support.console import Terminal
Terminal.close = lambda self: None
stream = type("Stream", (Terminal,), {{"write": lambda self, text: sys.stdout.write(text)}})()
Screen(stream, {{"TERM": "xterm"}}).progress("Running", 0.5, 0.0)
raise SystemExit("stopped")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True)
    output = run.stdout.decode()
    assert run.stderr.strip() == b"stopped"
    assert "Running" in output
    assert displayed_lines(output) == (["", ""], True)


def test_a_closed_pipe_raises_broken_pipe_in_the_caller():
    class Gone(Terminal):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Screen(Gone(), {"TERM": "xterm"}).progress("Running", 0.5, began=0.0)
