"""The names under which the program `digits` offers the server's commands, in the groups of its help."""

import re
from typing import NamedTuple

PROGRAM = "digits"


class ShortName(NamedTuple):
    """A command of `digits`. `command` is that of manage.py, or `module:function` of a program that is none."""

    name: str
    command: str
    summary: str
    example: str  # its arguments in an example


GROUPS: dict[str, tuple[ShortName, ...]] = {
    "Server": (
        ShortName("serve", "digits_project.stack.__main__:main", "start the server and its workers, until Ctrl-C", ""),
        ShortName("demo", "digits_project.demo.__main__:main", "from nothing to a trained classifier", ""),
        ShortName("doctor", "doctor", "check this host, and say how to repair it", ""),
        ShortName("worker", "worker", "run jobs: io builds datasets, train trains models", "train"),
        ShortName("reaper", "reaper", "resume lost jobs, and send what waits to workers", ""),
    ),
    "Datasets": (
        ShortName("build", "create_dataset", "build a dataset from a folder of images", "pets --folder-train photos"),
        ShortName("download", "download_data", "download a public set of images", "cifar10 ~/data/cifar10"),
        ShortName("report", "dataset_report", "find copies, wrong labels and unusual images in a dataset", "ID --csv"),
        ShortName("revise", "revise_dataset", "leave images out of a dataset, or relabel them", "ID --exclude train/3"),
        ShortName("preview", "augment_preview", "see images as a training will see them", "ID --output seen.png"),
    ),
    "Models": (
        ShortName("train", "train_model", "train a network on a dataset", "pets --dataset ID"),
        ShortName("evaluate", "evaluate", "measure a model on images that it has not seen", "ID --split test"),
        ShortName("weights", "weights", "list, add, fetch or remove weights to start from", "list"),
        ShortName("export", "export_model", "write a model as an archive that runs elsewhere", "ID -o model.zip"),
        ShortName("prune", "prune", "delete snapshots that nobody needs", "ID --best 2"),
    ),
    "Inference": (
        ShortName("classify", "classify", "classify any number of images", "ID photos --recursive"),
        ShortName("infer", "infer", "print the outputs of any network", "ID photos/1.png"),
    ),
    "Jobs": (
        ShortName("jobs", "jobs", "list datasets, models and evaluations", "--status Running --watch"),
        ShortName("abort", "abort", "stop jobs; a training keeps its snapshots", "ID"),
        ShortName("stop", "stop_early", "end trainings now, and keep their best snapshots", "ID"),
        ShortName("resume", "resume", "let aborted or failed jobs continue", "ID"),
        ShortName("delete", "delete_job", "delete jobs with their files", "ID --yes"),
        ShortName("share", "share", "choose who else sees a job on a private server", "ID vision"),
    ),
    "Administration": (
        ShortName("devices", "devices", "list the devices, or switch them on or off", "off gpu0"),
        ShortName("token", "token", "make, list or withdraw tokens for scripts", "make ada --name nightly"),
        ShortName("password", "changepassword", "set the password of an account", "admin"),
        ShortName("superuser", "ensure_superuser", "make the first account, and print its password", ""),
        ShortName("migrate", "migrate", "bring the database to this version", ""),
        ShortName("backup", "backup", "write everything that the server keeps into one file", "/backups/digits.tar"),
        ShortName("restore", "restore", "bring a backup to an empty host", "/backups/digits.tar"),
        ShortName("import", "import_digits", "import the jobs of an NVIDIA DIGITS server", "/var/digits/jobs"),
    ),
}
SHORT_NAMES = {short.name: short for group in GROUPS.values() for short in group}
_NAME_OF = {short.command: short.name for short in SHORT_NAMES.values()}


def short_name(command: str) -> str:
    """What `digits` calls a command of manage.py."""
    return _NAME_OF.get(command, command)


def in_words_of(program: str, text: str) -> str:
    """A text in which commands are called as in this program: "manage.py train_model" becomes "digits train"."""
    if program != PROGRAM:
        return text
    return re.sub(r"\bmanage\.py (\w+)", lambda found: f"{PROGRAM} {short_name(found[1])}", text)
