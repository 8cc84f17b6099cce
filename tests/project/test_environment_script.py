"""Failures of requirements/make-venv.sh: the advice for the machine, and no leftovers.

Every run of this suite shows that the script can make an environment.
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
    """A program that reports this version of Python and fails to import anything."""
    add_program(machine, "python3", f'case "$2" in *print*) echo {version} ;; *) exit 1 ;; esac')


def make_environment(machine, distribution="ID=debian\nVERSION_ID=12\n", *names, **variables):
    """Run the script; return its exit status and output."""
    (machine / "os-release").write_text(distribution)
    variables |= {"PATH": str(machine / "bin"), "OS_RELEASE": str(machine / "os-release")}
    command = [shutil.which("sh"), machine / "requirements" / "make-venv.sh", *names]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def advice(output):
    return re.search(r"This helps here: +(.*)", output)[1]


def leftovers(machine):
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
def test_a_machine_without_python_gets_the_install_command_of_its_distribution(machine, distribution, line):
    status, output = make_environment(machine, distribution)
    assert (status, advice(output), leftovers(machine)) == (1, line, [])
    assert f"{NEEDED} 3.10 to 3.14 with pip. Found:\n    no Python that runs" in output


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
def test_the_package_of_an_unsuitable_python_is_not_suggested(machine, distribution, version):
    add_python(machine, version)
    status, output = make_environment(machine, distribution)
    assert (status, leftovers(machine)) == (1, [])
    assert f"/bin/python3 (Python {version})" in output
    assert re.search(r"\buv\b|python3\.12", advice(output))
    assert "install python3 " not in advice(output)


def test_a_requested_version_that_is_missing_is_named(machine):
    add_python(machine, "3.13")
    status, output = make_environment(machine, PYTHON_VERSION="3.10")
    assert (status, leftovers(machine)) == (1, [])
    assert f"{NEEDED} 3.10 with pip" in output
    assert "uv" in advice(output)


def test_an_unsupported_version_is_refused(machine):
    status, output = make_environment(machine, PYTHON_VERSION="3.9")
    assert (status, output) == (1, "PYTHON_VERSION is one of 3.10, 3.11, 3.12, 3.13 and 3.14, not 3.9\n")


def test_the_error_of_a_failing_uv_is_quoted_and_no_venv_remains(machine):
    add_program(machine, "uv", "echo 'error: No download found' >&2; exit 2")
    status, output = make_environment(machine)
    assert (status, leftovers(machine)) == (1, [])
    assert "What was tried:\n    error: No download found" in output


DEBIAN = "ID=debian\nVERSION_ID=13\n"


def test_the_environment_of_pytorch_is_not_begun_on_a_disk_without_room(machine):
    add_program(machine, "df", "echo Filesystem; echo /dev/vda 90000000 84000000 6000000 94% /")
    status, output = make_environment(machine, DEBIAN, "torch")
    assert (status, leftovers(machine)) == (1, [])
    assert output == (
        f".venv-torch needs 7 GB of disk, and {machine} has 6 GB free. Make room, then run the same command again.\n"
    )


def test_a_failed_environment_of_pytorch_leaves_nothing_behind(machine):
    add_program(machine, "df", "echo Filesystem; echo /dev/vda 90000000 1 80000000 1% /")
    add_program(machine, "uv", "echo 'error: No download found' >&2; exit 2")
    status, output = make_environment(machine, DEBIAN, "torch", PYTHON_VERSION="3.12")
    assert (status, leftovers(machine)) == (1, [])
    assert "Making .venv-torch with uv and Python 3.12" in output
    assert "error: No download found" in output


def test_an_environment_that_does_not_exist_is_refused(machine):
    status, output = make_environment(machine, DEBIAN, "tensorflow")
    assert (status, leftovers(machine)) == (1, [])
    assert "there is no tensorflow" in output


def test_aarch64_is_accepted(machine):
    add_program(machine, "uname", "echo Linux aarch64")
    assert NEEDED in make_environment(machine)[1]


@pytest.mark.parametrize("system", ["Linux riscv64", "Darwin arm64"])
def test_an_unsupported_platform_is_refused_with_the_reason(machine, system):
    add_program(machine, "uname", f"echo {system}")
    status, output = make_environment(machine)
    assert (status, f"DIGITS runs on Linux on x86-64 and aarch64; this is {system}." in output) == (1, True)


@pytest.mark.parametrize(
    "getconf, reason", [("echo glibc 2.17", "this machine has glibc 2.17"), ("exit 1", "no wheel for musl")]
)
def test_an_unsupported_c_library_is_refused(machine, getconf, reason):
    add_program(machine, "getconf", getconf)
    status, output = make_environment(machine)
    assert (status, reason in output) == (1, True)
