"""The job folders of a DIGITS server, as far as they can be read without running anything that stands in them.

`status.pickle` is never unpickled: `pickletools` lists its opcodes, and of those only plain texts and numbers are
taken, each as the value of the attribute name that stands before it. What they say is a hint, checked as any input is.
"""

import pickletools  # nosec B403 - a parser, which runs nothing
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from digits_project.jobs.models import JOB_ID

MOST_PICKLE = 64 << 20  # bytes
MOST_TEXT = 8_000_000
WANTED = {
    "_name", "username", "_notes", "dataset_id", "resize_mode", "train_epochs", "batch_size", "learning_rate",
    "crop_size", "use_mean",
}  # fmt: skip
SILENT = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "PROTO", "FRAME"}
SNAPSHOT = re.compile(r"_iter_(\d+)\.caffemodel$")
SOLVER_ITERATIONS = re.compile(r"^\s*max_iter:\s*(\d+)", re.M)


@dataclass(frozen=True)
class Found:
    """A job folder: `kind` is "dataset" or "model"; `facts` is what status.pickle says."""

    path: Path
    kind: str
    facts: dict = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        return str(self.facts.get("_name") or self.job_id)[:255]

    def text(self, *names: str) -> str:
        """The first of these files that is there; "" if none is."""
        path = next((self.path / name for name in names if (self.path / name).is_file()), None)
        if path is None or path.stat().st_size > MOST_TEXT:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")

    @property
    def labels(self) -> list[str]:
        return [line.strip() for line in self.text("labels.txt").splitlines() if line.strip()]

    @property
    def dataset_id(self) -> str:
        """Of the dataset that a model is built on: what the pickle says, or else where the network takes its images."""
        named = JOB_ID.findall(self.text("train_val.prototxt"))
        said = self.facts.get("dataset_id")
        return said if isinstance(said, str) and JOB_ID.fullmatch(said) else (named[0] if named else "")

    @property
    def iterations(self) -> int:
        """Of the whole training; 0 if the solver does not say."""
        found = SOLVER_ITERATIONS.search(self.text("solver.prototxt"))
        return int(found[1]) if found else 0

    def snapshots(self) -> list[tuple[int, Path]]:
        """(iteration, .caffemodel), in their order."""
        files = ((SNAPSHOT.search(path.name), path) for path in self.path.glob("*.caffemodel"))
        return sorted((int(match[1]), path) for match, path in files if match)


def find(folder: Path) -> Iterator[Found]:
    """The jobs in a folder of jobs, or the one that it is itself; datasets first."""
    folders = [folder] if JOB_ID.fullmatch(folder.name) else sorted(path for path in folder.iterdir() if path.is_dir())
    jobs = [path for path in folders if JOB_ID.fullmatch(path.name)]
    kinds = {"dataset": ("labels.txt", "train_db"), "model": ("solver.prototxt", "deploy.prototxt")}
    for kind, marks in kinds.items():
        for path in jobs:
            if any((path / mark).exists() for mark in marks):
                yield Found(path, kind, read_facts(path / "status.pickle"))


def read_facts(path: Path) -> dict:
    """{attribute: text or number} of those that are WANTED; what can't be read says nothing."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_PICKLE + 1)
    except OSError:
        return {}
    facts: dict = {}
    key = ""
    try:
        for opcode, value, _ in pickletools.genops(content[:MOST_PICKLE]):
            if opcode.name in SILENT:
                continue
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            plain = isinstance(text, (str, int, float)) and "GET" not in opcode.name and opcode.name != "GLOBAL"
            if key and plain:
                facts.setdefault(key, text)
            key = text if plain and isinstance(text, str) and text in WANTED and not key else ""
    except Exception:  # noqa: BLE001 - a damaged or hostile file can make the parser raise anything
        return facts
    return facts
