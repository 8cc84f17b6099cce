"""The two outcomes that are not faults of the server. Bottom of the import graph: no Django here."""


class BadInput(Exception):
    """The user's mistake; its text reaches the user word for word, so it says what was wrong, where, and what to do."""


class Aborted(BaseException):
    """This job is to stop. Not an Exception, so that "skip the broken image" handlers can't swallow it."""
