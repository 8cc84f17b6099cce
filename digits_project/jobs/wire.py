"""A job as JSON, as far as both kinds agree."""

from digits_project.jobs.models import Job, Status


def describe_job(job: Job, **more) -> dict:
    """`{id, name, directory, status, …more}` and, when there is something to tell, `progress` and `error`."""
    facts = {"id": job.pk, "name": job.name, "directory": str(job.directory), "status": job.status, **more}
    if job.status in (Status.WAITING, Status.RUNNING):
        facts["progress"] = round(job.progress, 4)
    if job.error:
        facts["error"] = job.error
    return facts


def created(job: Job, **more) -> dict:
    """The answer to a create: `id` equals `job_id`, since DIGITS's documentation says one and its code the other."""
    return {"job_id": job.pk, "id": job.pk, "name": job.name, "status": job.status, **more}
