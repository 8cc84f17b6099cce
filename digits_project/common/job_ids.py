"""Job ids: YYYYMMDD-HHMMSS-xxxx."""

import re

JOB_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


def is_job_id(value: object) -> bool:
    """Whether a job could have that id. Anything may be asked for."""
    return isinstance(value, str) and JOB_ID.fullmatch(value) is not None
