"""Checks that the files of a snapshot are still those that the training wrote."""

from __future__ import annotations

import json
from pathlib import Path

from digits_project.common.digests import State, remembered_sha256
from digits_project.common.errors import DamagedFile
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, FILES

SHOWN_PARTS = 4  # of a path: the job's id, snapshots, the epoch and the file. Server paths are for operators only.
REMEDY = "Restore it from a backup, use another snapshot, or train the model again."


def verify(*files: Path) -> None:
    """Raise DamagedFile, which names the file, if one of these files of a snapshot is damaged or missing.

    Raises FileNotFoundError if the snapshot's folder is gone, because it was perhaps deleted a moment ago.
    """
    directory = files[0].parent
    directory.stat()
    digests = read_description(directory).get("sha256")
    for path in files:
        try:
            state = State.of(path)
            if not state.size:
                raise _damaged(path, "is empty")
            # A snapshot of an early version has no digests.
            if digests is not None and remembered_sha256(path, state) != digests[path.name]:
                raise _damaged(path, "is damaged: it is not what the training wrote (its SHA-256 differs)")
        except OSError as error:
            raise _unreadable(path, error) from error
        except (KeyError, TypeError) as error:
            raise _damaged(directory / DESCRIPTION, f"is damaged: it has no SHA-256 of {path.name}") from error


def weight_files(directory: Path) -> list[Path]:
    """The files of a snapshot that hold weights: model.onnx, and weights.npz if the snapshot has it."""
    digests = read_description(directory).get("sha256")
    apart = directory / FILES["weights"]
    has_apart = apart.exists() if digests is None else apart.name in digests
    return [directory / FILES["onnx"], *([apart] if has_apart else [])]


def read_description(directory: Path) -> dict:
    """snapshot.json of a snapshot. Raises DamagedFile."""
    path = directory / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"is damaged: {error}") from error
    if not isinstance(description, dict):
        raise _damaged(path, "is damaged: it does not hold a JSON object")
    return description


def shown(path: Path) -> str:
    """A snapshot's file as messages name it: below the jobs folder."""
    return "/".join(path.parts[-SHOWN_PARTS:])


def damaged(path: Path, what: object) -> DamagedFile:
    """The exception for a file of a snapshot that can't be used, with the reason."""
    return _damaged(path, f"is damaged: {what}")


def missing(path: Path) -> DamagedFile:
    """The exception for a missing file; it names the file, or the topmost folder that is missing."""
    gone = next((folder for folder in (path.parents[2], path.parent) if not folder.is_dir()), path)
    return DamagedFile(f"{'/'.join(gone.parts[len(path.parts) - SHOWN_PARTS :])} is missing. {REMEDY}")


def _unreadable(path: Path, error: OSError) -> DamagedFile:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return missing(path)
    return _damaged(path, f"can't be read: {error.strerror}")


def _damaged(path: Path, what: str) -> DamagedFile:
    return DamagedFile(f"{shown(path)} {what.rstrip('.')}. {REMEDY}")
