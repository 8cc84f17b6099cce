"""Modules as one file: what they import comes first, and what can't be carried over is refused."""

import importlib
import subprocess
import sys

import pytest

from inference.download.bundle import CanNotBundle, single_file

GREETER = '"""Greets."""\n\nimport os\n\nfrom inference.{0} import NAME\n\nprint("hello", NAME, os.name)\n'


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of a package of the project's name from its source."""

    def make(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return importlib.import_module(f"inference.{name}")

    import_path = importlib.import_module("inference").__path__
    monkeypatch.setattr(importlib.import_module("inference"), "__path__", [*import_path, str(tmp_path)])
    yield make
    for name in [name for name in sys.modules if name.startswith("inference.made_")]:
        del sys.modules[name]


def test_what_is_imported_comes_first(module, tmp_path):
    module("made_name", '"""Names."""\n\nfrom __future__ import annotations\n\nNAME = "world"\n')
    script = tmp_path / "script"
    script.write_text(single_file(module("made_greeter", GREETER.format("made_name"))))
    run = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=True)
    assert run.stdout == "hello world posix\n"
    assert script.read_text().startswith('"""Greets.\n"""\n')


@pytest.mark.parametrize(
    "source, why",
    [
        ("from inference.made_name import NAME as OTHER\n", "under other names"),
        ("from inference.made_name import NAME\n\nNAME = 2\n", "NAME has two meanings"),
    ],
)
def test_what_can_not_be_carried_over_is_refused(module, source, why):
    module("made_name", "NAME = 1\n")
    with pytest.raises(CanNotBundle, match=why):
        single_file(module("made_other", source))
