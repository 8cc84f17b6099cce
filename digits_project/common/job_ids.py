"""Job ids: YYYYMMDD-HHMMSS-xxxx."""

import re
from typing import TypeGuard

JOB_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


def is_job_id(value: object) -> TypeGuard[str]:
    """Whether the value has the form of a job id. Clients can send any value."""
    return isinstance(value, str) and JOB_ID.fullmatch(value) is not None
