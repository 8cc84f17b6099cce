"""The outcomes that are not faults in the server's code. Bottom of the import graph: no Django here."""


class BadInput(Exception):
    """The user's mistake; its text reaches the user word for word, so it says what was wrong, where, and what to do."""


class Failed(Exception):
    """Something around the server broke, such as a process that was killed; its text tells user and log what."""


class Lost(Failed):
    """The process that did the work is gone, for no fault that the work itself can be blamed for: it may go on."""


class Aborted(BaseException):
    """This job is to stop. Not an Exception, so that "skip the broken image" handlers can't swallow it."""
