"""How a line of a log is written. Names and paths that others choose must not be able to write lines of theirs."""

import logging
import re

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class OneLine(logging.Formatter):
    """A message is one line, whatever is in it; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return CONTROL.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(record))


class Brief(OneLine):
    """Without a traceback, where the fault is the client's: anybody could fill a disk with them."""

    def formatException(self, ei) -> str:
        return ""
