"""requirements/make-venv.sh where it can't make an environment: the line that helps there, and nothing left behind.

That it does make one is shown by every run of this suite.
"""

import re
import shutil
import subprocess

import pytest

from tests.support.server import ROOT

TOOLS = [
    *("sh", "cat", "cksum", "cp", "cut", "date", "dirname", "flock", "getconf", "grep", "head", "mktemp", "rm"),
    *("sed", "sort", "tail", "tee", "touch", "uname"),
]
NEEDED = "DIGITS needs uv, or Python"


@pytest.fixture
def machine(tmp_path):
    """A folder with the script, and a PATH without any Python."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def add_program(machine, name, script):
    program = machine / "bin" / name
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def add_python(machine, version):
    """A program that says it is this Python and can import nothing."""
    add_program(machine, "python3", f'case "$2" in *print*) echo {version} ;; *) exit 1 ;; esac')


def make_environment(machine, distribution="ID=debian\nVERSION_ID=12\n", **variables):
    """The exit status, and what was printed."""
    (machine / "os-release").write_text(distribution)
    variables |= {"PATH": str(machine / "bin"), "OS_RELEASE": str(machine / "os-release")}
    command = [shutil.which("sh"), machine / "requirements" / "make-venv.sh"]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def advice(printed):
    return re.search(r"This helps here: +(.*)", printed)[1]


def left_behind(machine):
    return sorted(path.name for path in machine.iterdir() if path.name.startswith(".venv"))


@pytest.mark.parametrize(
    "distribution, line",
    [
        ("ID=debian\nVERSION_ID=12\n", "apt-get install python3 python3-venv"),
        ("ID=debian\nVERSION_ID=13\n", "apt-get install python3 python3-venv"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=26.04\n", "apt-get install python3 python3-venv"),
        ("ID=fedora\nVERSION_ID=43\n", "dnf install python3 python3-pip"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n', "dnf install python3.12 python3.12-pip"),
        ('ID=opensuse-leap\nID_LIKE="suse opensuse"\nVERSION_ID=15.6\n', "zypper install python311 python311-pip"),
        ("ID=arch\n", "pacman -S uv"),
    ],
)
def test_a_machine_without_python_gets_the_line_of_its_distribution_and_no_venv(machine, distribution, line):
    status, printed = make_environment(machine, distribution)
    assert (status, advice(printed), left_behind(machine)) == (1, line, [])
    assert f"{NEEDED} 3.10 to 3.14 with pip. Found:\n    no Python that runs" in printed


@pytest.mark.parametrize(
    "distribution, version",
    [
        ("ID=debian\nVERSION_ID=11\n", "3.9"),
        ("ID=debian\nVERSION_ID=14\n", "3.15"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=20.04\n", "3.8"),
        ("ID=fedora\nVERSION_ID=45\n", "3.15"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n', "3.9"),
    ],
)
def test_the_package_of_a_python_that_does_not_suit_is_not_suggested_again(machine, distribution, version):
    add_python(machine, version)
    status, printed = make_environment(machine, distribution)
    assert (status, left_behind(machine)) == (1, [])
    assert f"/bin/python3 (Python {version})" in printed
    assert re.search(r"\buv\b|python3\.12", advice(printed))
    assert "install python3 " not in advice(printed)


def test_a_version_that_was_asked_for_and_is_not_there_is_named(machine):
    add_python(machine, "3.13")
    status, printed = make_environment(machine, PYTHON_VERSION="3.10")
    assert (status, left_behind(machine)) == (1, [])
    assert f"{NEEDED} 3.10 with pip" in printed
    assert "uv" in advice(printed)


def test_a_version_that_is_not_supported_is_refused(machine):
    status, printed = make_environment(machine, PYTHON_VERSION="3.9")
    assert (status, printed) == (1, "PYTHON_VERSION is one of 3.10, 3.11, 3.12, 3.13 and 3.14, not 3.9\n")


def test_a_uv_that_can_not_make_an_environment_is_quoted_and_leaves_nothing(machine):
    add_program(machine, "uv", "echo 'error: No download found' >&2; exit 2")
    status, printed = make_environment(machine)
    assert (status, left_behind(machine)) == (1, [])
    assert "What was tried:\n    error: No download found" in printed


def test_aarch64_is_not_refused(machine):
    add_program(machine, "uname", "echo Linux aarch64")
    assert NEEDED in make_environment(machine)[1]


@pytest.mark.parametrize("system", ["Linux riscv64", "Darwin arm64"])
def test_another_kind_of_machine_is_refused_with_the_reason(machine, system):
    add_program(machine, "uname", f"echo {system}")
    status, printed = make_environment(machine)
    assert (status, f"DIGITS runs on Linux on x86-64 and aarch64; this is {system}." in printed) == (1, True)


@pytest.mark.parametrize(
    "getconf, reason", [("echo glibc 2.17", "this machine has glibc 2.17"), ("exit 1", "no wheel for musl")]
)
def test_a_c_library_that_no_wheel_runs_on_is_refused(machine, getconf, reason):
    add_program(machine, "getconf", getconf)
    status, printed = make_environment(machine)
    assert (status, reason in printed) == (1, True)
