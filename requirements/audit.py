"""Look up known vulnerabilities of all packages of the requirements: `make audit`.

Queries PyPI's advisory service through pip-audit for the versions in dev.txt, gpu.txt and torch.txt that apply to this
Python. Exit status: 0 if all packages were looked up and none has a known vulnerability, 1 if one has, 2 if a package
could not be looked up, so that the result is unknown.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOL = Path(sys.prefix) / "audit"
LOCKS = [HERE / f"{name}.txt" for name in ("dev", "gpu", "torch")]  # dev.txt has those of the others
OPTIONS = ["--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]


def main() -> int:
    if not install():
        return failed("pip-audit could not be installed")
    packages, messages, status = {}, "", 0
    for lock in LOCKS:
        run = subprocess.run(
            [sys.executable, "-m", "pip_audit", *OPTIONS, "-r", str(lock)],
            env=os.environ | {"PYTHONPATH": str(TOOL)},
            capture_output=True,
            text=True,
        )
        try:
            packages |= {package["name"]: package for package in json.loads(run.stdout)["dependencies"]}
        except (ValueError, KeyError, TypeError):
            return failed(reason(run.stderr))
        messages += run.stderr
        status = status or run.returncode
    return report(list(packages.values()), messages, status)


def report(packages: list[dict], messages: str, status: int) -> int:
    """Print the vulnerabilities; return the exit status of this program, given pip-audit's results, log and status."""
    skipped = [f"{package['name']}: {package['skip_reason']}" for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for known in package["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    if skipped or not packages or (status and not vulnerable):
        return failed("; ".join(skipped) or reason(messages))
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    print(f"{len(packages)} packages for {python} looked up: {len(vulnerable)} with known vulnerabilities")
    return 1 if vulnerable else 0


def install() -> bool:
    """Install pip-audit if it is not installed yet; return whether it is."""
    wanted = (HERE / "audit.txt").read_text()
    stamp = TOOL / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    uv = Path(sysconfig.get_path("scripts")) / "uv"  # an environment made by uv has no pip
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", sys.executable]
    if subprocess.run([*command, "--target", TOOL, "-r", HERE / "audit.txt"]).returncode:
        return False
    stamp.write_text(wanted)
    return True


def reason(log: str) -> str:
    """The last line of a log with an error, or else its last line."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Error" in line]
    return (errors or lines or ["it printed nothing"])[-1].rpartition("ERROR:pip_audit._cli:")[2]


def failed(why: str) -> int:
    print(f"The advisories could not be fetched for every package: {why}", file=sys.stderr)
    print("A package that was skipped is not a clean one: this audit says nothing. Try again online.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
