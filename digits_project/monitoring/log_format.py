"""Formats log lines so that names and paths that users choose can't forge lines of their own."""

import logging
import re

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class OneLine(logging.Formatter):
    """Writes each message as one line, with control characters escaped; a traceback follows on its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return CONTROL.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(record))


class Brief(OneLine):
    """Writes no tracebacks; for client errors, because any client could fill a disk with them."""

    def formatException(self, ei) -> str:
        return ""
