"""The images: the server's own, built from docker/Dockerfile, and what stands for public ones that can't be pulled.

The base image becomes a Debian from debootstrap without documentation and translations, as the public "slim" has none;
PostgreSQL, Redis and nginx become Debian's packages on it, under the names that the compose files use.
"""

import re
import shutil
import subprocess
from pathlib import Path

from tests.docker.commands import CheckFailed, run, say
from tests.docker.daemon import Docker
from tools.prove_images import HOST_CERTIFICATES, RELEASES, debootstrap

ROOT = Path(__file__).resolve().parent.parent.parent
STAND_INS = Path(__file__).parent / "stand_ins"
SLIM = ("doc", "man", "info", "locale", "groff", "lintian")  # folders of /usr/share
CLEAN = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
PULL_SECONDS = 600
TARGETS = {target: f"digits-{target}" for target in ("web", "worker", "worker-gpu", "worker-torch")}
MAX_WEB_BYTES = 400_000_000


class Images:
    """Makes the images of a daemon. `pull`: whether public images are asked for before they are replaced."""

    def __init__(self, docker: Docker, folder: Path, *, pull: bool):
        self.docker = docker
        self.folder = folder
        self.pull = pull

    def get_base(self, root: Path = ROOT) -> str:
        """Provide the image that the Dockerfile of this source tree begins with; return its name."""
        image = re.search(r"^FROM (debian:\S+) AS", (root / "docker/Dockerfile").read_text(), re.M)[1]
        if not self._is_there(image):
            self._make_debian(image)
        return image

    def get_service(self, image: str, base: str) -> None:
        """Provide `postgres:…`, `redis:…` or `nginx:…`."""
        if not self._is_there(image):
            say(f"{image}: made from Debian's packages")
            kind = image.partition(":")[0]
            self.docker("build", "--tag", image, "--target", kind, "--build-arg", f"BASE={base}", STAND_INS)

    def build(self, target: str, tag: str, root: Path = ROOT) -> int:
        """Build a target of the Dockerfile in `root`; return the image's size in bytes."""
        dockerfile = root / "docker/Dockerfile"
        self.docker("build", "--file", dockerfile, "--target", target, "--tag", tag, root)
        size = int(self.docker("image", "inspect", "--format", "{{.Size}}", tag))
        say(f"{tag}: built, {size / 1e6:.0f} MB")
        return size

    def largest_layers(self, image: str, count: int = 3) -> list[str]:
        text = self.docker("history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)
        layers = sorted(
            (int(size), command) for size, _, command in (line.partition(" ") for line in text.splitlines())
        )
        return [
            f"{size / 1e6:6.1f} MB  {command[:80] or 'the base image'}" for size, command in layers[: -count - 1 : -1]
        ]

    def _is_there(self, image: str) -> bool:
        if not self.docker.has(image) and self.pull:
            say(f"{image}: pulled")
            try:
                self.docker("pull", "--quiet", image, timeout=PULL_SECONDS)
            except (CheckFailed, subprocess.TimeoutExpired) as why:
                say(f"{image} can't be pulled: {str(why).splitlines()[-1]}")
        return self.docker.has(image)

    def _make_debian(self, image: str) -> None:
        say(f"{image}: made by debootstrap")
        version = re.match(r"debian:(\d+)", image)[1]
        root = self.folder / "debian"
        shutil.rmtree(root, ignore_errors=True)
        debootstrap(RELEASES[version], root, subprocess.DEVNULL)
        slim(root)
        options = ["--change", "ENV PIP_CERT=/etc/host.crt"] if HOST_CERTIFICATES.exists() else []
        with subprocess.Popen(["tar", "--directory", root, "--create", "."], stdout=subprocess.PIPE) as archive:
            self.docker("import", *options, "-", image, stdin=archive.stdout)
        shutil.rmtree(root)


def slim(root: Path) -> None:
    """Remove what Debian's slim images leave out, now and from packages installed later."""
    for folder in (*(f"usr/share/{name}" for name in SLIM), "var/cache/apt", "var/lib/apt/lists"):
        for path in (root / folder).glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    excluded = "".join(f"path-exclude /usr/share/{name}/*\n" for name in SLIM)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(excluded)
    (root / "etc/apt/apt.conf.d/clean").write_text(CLEAN)
    (root / "etc/resolv.conf").unlink(missing_ok=True)  # Docker has its own


def old_tree(revision: str, folder: Path) -> Path:
    """The source tree of a revision, as `git archive` gives it."""
    tree = folder / "before"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    with subprocess.Popen(["git", "-C", ROOT, "archive", revision], stdout=subprocess.PIPE) as archive:
        run("tar", "--directory", tree, "--extract", stdin=archive.stdout)
    return tree
