"""The outcomes that are not faults in the server's code. Bottom of the import graph: no Django here."""

import errno
from pathlib import Path


class BadInput(Exception):
    """The user's mistake; its text reaches the user word for word, so it says what was wrong, where, and what to do."""


class DamagedFile(BadInput):
    """A file that the server wrote is missing, cut short or changed; the text names it, below the folder of its job."""


class Failed(Exception):
    """Something around the server broke, such as a process that was killed; its text tells user and log what."""


class Lost(Failed):
    """The process that did the work is gone, for no fault that the work itself can be blamed for: it may go on."""


class Aborted(BaseException):
    """This job is to stop. Not an Exception, so that "skip the broken image" handlers can't swallow it."""


RESUME = "resume this job: it goes on from what it had finished"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the quota, or the largest file allowed


def no_room(error: BaseException, directory: Path, then: str = "try again") -> str | None:
    """What to tell the user if `error`, met while writing into `directory`, is for want of room; else None."""
    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        return None
    return f"{error.strerror}: nothing more can be written into {directory}. Make room there, then {then}."


class Refused(Exception):
    """The job's state does not allow it; the text says why."""


class Gone(Exception):
    """Somebody else deleted the job meanwhile."""


class HasDependents(Refused):
    """Other jobs are built on this one."""


class IllegalTransition(Exception):
    """The job was not in a status from which it may go there: another process moved it first."""


class LimitReached(Exception):
    """The owner has as much as one may have; the text says of what, and what to do."""


class DiskLimitReached(LimitReached):
    """The owner's jobs take as many bytes as they may."""
