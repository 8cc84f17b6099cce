"""The exceptions that are not faults in the server's code. api/exception_handler.py turns them into HTTP statuses."""

import errno
import zlib
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

# NumPy and zipfile raise these for a file that is no .npy or .npz, or is damaged, encrypted or made to do harm: NumPy
# reads a header as Python's syntax, and allocates as much memory as the header says.
NOT_ARRAYS = (
    ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, BadZipFile, zlib.error, SyntaxError,
    TokenError, MemoryError, OverflowError,
)  # fmt: skip


class BadInput(Exception):
    """The user's mistake. Its text is shown to the user unchanged: what was wrong, where, and what to do."""


class DamagedFile(BadInput):
    """A file that the server wrote is missing, truncated or changed. The text names it relative to its job's folder."""


class Failed(Exception):
    """Something outside of the server's code failed, such as a process that was killed. User and log get the text."""


class Lost(Failed):
    """The process that ran a job died, and not because of the job: the job can continue in another process."""


class Aborted(BaseException):
    """The job must stop. Not an Exception, so that handlers that skip a broken image don't catch it."""


RESUME = "resume this job: it continues from what it has finished"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the quota, or the largest file allowed


def no_room(error: BaseException, directory: Path, then: str = "try again") -> str | None:
    """The message for the user if `error`, raised while writing into `directory`, means that the disk is full; else
    None."""
    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        return None
    return f"{error.strerror}: nothing more can be written to {directory}. Free some space there, then {then}."


class Refused(Exception):
    """The state of the job does not allow the action; the text says why."""


class Gone(Exception):
    """The job was deleted meanwhile."""


class HasDependents(Refused):
    """Other jobs depend on this one, so it can't be deleted."""


class IllegalTransition(Exception):
    """The job's status does not allow this transition; usually another process changed the status first."""


class LimitReached(Exception):
    """The owner has reached a limit; the text says which one, and what to do."""


class DiskLimitReached(LimitReached):
    """The owner's jobs have reached the limit of bytes on disk."""
