"""The snapshot that a request names."""

from rest_framework.exceptions import NotFound

from digits_project.api import error_statuses
from digits_project.common.errors import BadInput
from inference import services
from models_app.models import Snapshot
from models_app.results import Which


def chosen_snapshot(job_id: object, which: Which) -> Snapshot:
    """The snapshot that services.find_snapshot() returns; its exceptions are turned into those of the API."""
    try:
        return services.find_snapshot(job_id, which)
    except services.NoSuchModel as unknown:
        raise NotFound("Job not found") from unknown
    except services.NoSnapshot as early:
        raise error_statuses.Conflict(str(early)) from early
    except services.NoSuchSnapshot as wrong:
        raise BadInput(str(wrong)) from wrong


def named_model(request) -> object:
    """The `job_id` of the query string, else of the body. Raises BadInput."""
    job_id = request.query_params.get("job_id") or request.data.get("job_id")
    if not job_id:
        raise BadInput("job_id is missing: send the model's id.")
    return job_id
