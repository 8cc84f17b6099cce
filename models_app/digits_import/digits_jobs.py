"""Reads the job folders of a DIGITS server without running anything that is in them.

`status.pickle` is never unpickled: `pickletools` lists its opcodes, and only plain texts and numbers are used, each
as the value of the attribute whose name precedes it, and the name of the job's class. They are checked like any input.
"""

import pickletools  # nosec B403 - a parser, which runs nothing
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from digits_project.common.job_ids import JOB_ID

MAX_PICKLE = 64 << 20  # bytes
MAX_TEXT = 8_000_000
WANTED = {
    "_name", "username", "_notes", "dataset_id", "resize_mode", "train_epochs", "batch_size", "learning_rate",
    "crop_size", "use_mean", "mean_file", "framework_id", "group",
}  # fmt: skip
OF_TASKS = {"database", "purpose"}  # each task that uses an existing database has one of these two
CLASS = re.compile(r"digits\.\S+ (\w+Job)")
SILENT = {"PROTO", "FRAME"}
STORES = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
KINDS = (("", "features"), ("_labels", "labels"))
PURPOSES = {
    "train": "Training Images", "train_labels": "Training Labels",
    "val": "Validation Images", "val_labels": "Validation Labels",
}  # fmt: skip
MARKS = {"dataset": ("labels.txt", "train_db"), "model": ("solver.prototxt", "deploy.prototxt")}
SNAPSHOT = re.compile(r"_iter_(\d+)\.caffemodel$")
SOLVER_ITERATIONS = re.compile(r"^\s*max_iter:\s*(\d+)", re.M)


@dataclass(frozen=True)
class DigitsJob:
    """A job folder. `kind` is "dataset", "model", or "job" for any other job; `facts` are the values in
    status.pickle."""

    path: Path
    kind: str
    facts: dict = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        return str(self.facts.get("_name") or self.job_id)[:255]

    @property
    def group(self) -> str:
        return str(self.facts.get("group") or "")[:255]

    def text(self, *names: str) -> str:
        """The text of the first of these files that exists; "" if none does."""
        path = next((self.path / name for name in names if (self.path / name).is_file()), None)
        if path is None or path.stat().st_size > MAX_TEXT:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")

    @property
    def labels(self) -> list[str]:
        return [line.strip() for line in self.text("labels.txt").splitlines() if line.strip()]

    @property
    def dataset_id(self) -> str:
        """The id of a model's dataset: from the pickle, else from the paths in train_val.prototxt; "" if unknown."""
        named = JOB_ID.findall(self.text("train_val.prototxt"))
        dataset_id = self.facts.get("dataset_id")
        return (
            dataset_id if isinstance(dataset_id, str) and JOB_ID.fullmatch(dataset_id) else (named[0] if named else "")
        )

    @property
    def iterations(self) -> int:
        """The number of iterations of the whole training, from solver.prototxt; 0 if it is not there."""
        found = SOLVER_ITERATIONS.search(self.text("solver.prototxt"))
        return int(found[1]) if found else 0

    @property
    def digits_class(self) -> str:
        """The class of the job in DIGITS, such as "ImageClassificationModelJob"; "" if the pickle does not say."""
        return self.facts.get("class", "")

    @property
    def is_generic(self) -> bool:
        """Whether it is a dataset with images and labels of any kind, or a model with outputs of any kind."""
        return "Generic" in self.digits_class or (self.path / "train_db" / "features").is_dir()

    @property
    def framework(self) -> str:
        """The framework that trained the model: caffe, torch or tensorflow."""
        if any(self.path.glob("*.t7")) or any(self.path.glob("*.lua")):
            return "torch"
        if any(self.path.glob("*.ckpt*")) or (self.path / "network.py").exists():
            return "tensorflow"
        return str(self.facts.get("framework_id") or "caffe")

    def databases(self) -> dict[str, Path]:
        """A generic dataset's databases, {name: path}: train, val, train_labels, val_labels, mean, if known."""
        own = {f"{split}{end}": self.path / f"{split}_db" / name for split in ("train", "val") for end, name in KINDS}
        own["mean"] = self.path / "train_db" / "mean.binaryproto"
        if own["train"].is_dir():
            return {name: path for name, path in own.items() if path.exists()}
        named = dict(zip(self.facts.get("purpose", ()), self.facts.get("database", ()), strict=False))
        found = {name: named[purpose] for name, purpose in PURPOSES.items() if isinstance(named.get(purpose), str)}
        if mean := self.facts.get("mean_file"):
            found["mean"] = str(mean)
        return {name: Path(path) for name, path in found.items()}

    def snapshots(self) -> list[tuple[int, Path]]:
        """The (iteration, path of the .caffemodel) pairs, by iteration."""
        files = ((SNAPSHOT.search(path.name), path) for path in self.path.glob("*.caffemodel"))
        return sorted((int(match[1]), path) for match, path in files if match)


def find(folder: Path) -> list[DigitsJob]:
    """The jobs in a folder of job folders, or the one job if it is a job folder itself; datasets first."""
    folders = [folder] if JOB_ID.fullmatch(folder.name) else sorted(path for path in folder.iterdir() if path.is_dir())
    jobs = [_look(path) for path in folders if JOB_ID.fullmatch(path.name)]
    return [job for kind in (*MARKS, "job") for job in jobs if job and job.kind == kind]


def _look(path: Path) -> DigitsJob | None:
    """The job in a folder; None if the folder holds no job."""
    facts = read_facts(path / "status.pickle")
    kinds = [kind for kind in MARKS if facts.get("class", "").endswith(f"{kind.title()}Job")]
    kinds += [kind for kind, marks in MARKS.items() if any((path / mark).exists() for mark in marks)]
    if not kinds and not (path / "status.pickle").exists():
        return None
    return DigitsJob(path, kinds[0] if kinds else "job", facts)


def read_facts(path: Path) -> dict:
    """The attributes of a pickle: {name: text or number} of those in WANTED, {name: list} of those in OF_TASKS,
    "class".

    Whatever can't be read is left out.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PICKLE + 1)
    except OSError:
        return {}
    facts: dict = {}
    try:
        for key, value in _attributes(content[:MAX_PICKLE]):
            if key in OF_TASKS:
                facts.setdefault(key, []).append(value)
            else:
                facts.setdefault(key, value)
    except Exception:  # noqa: BLE001 - a damaged or hostile file can make the parser raise anything
        return facts
    return facts


def _attributes(content: bytes) -> Iterator[tuple[str, str | int | float]]:
    """The (attribute, value) pairs of a pickle with a text or number as value; ("class", name) for the job's class."""
    key, last = "", None
    stored: dict = {}  # the pickle's memo, {index: value}: a repeated text is stored once and then named by its index
    for opcode, value, _ in pickletools.genops(content):
        if opcode.name in STORES:
            stored[len(stored) if value is None else int(value)] = last  # only MEMOIZE has no number
            continue
        if opcode.name in SILENT:
            continue
        if opcode.name == "GLOBAL" and (named := CLASS.fullmatch(str(value))):
            yield "class", named[1]
        last = _plain(opcode.name, value, stored)
        if key and last is not None:
            yield key, last
        key = last if isinstance(last, str) and last in WANTED | OF_TASKS and not key else ""


def _plain(opcode: str, value: object, stored: dict) -> str | int | float | None:
    """The value that an opcode pushes if it is a text or a number, else None."""
    if "GET" in opcode:
        return stored.get(int(value)) if isinstance(value, (int, str)) else None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text if isinstance(text, (str, int, float)) and opcode != "GLOBAL" else None
