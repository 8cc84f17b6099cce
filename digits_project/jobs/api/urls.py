from digits_project.api.routes import with_suffix
from digits_project.jobs.api import views


def job_routes(prefix: str, detail: type, kind=None) -> list:
    """The routes of every job: itself, its status, its abort, its resume; `detail` answers for the job itself."""
    status = type("Status", (views.JobStatus,), {"kind": kind, "__doc__": views.JobStatus.__doc__})
    abort = type("Abort", (views.AbortJob,), {"kind": kind, "__doc__": views.AbortJob.__doc__})
    resume = type("Resume", (views.ResumeJob,), {"kind": kind, "__doc__": views.ResumeJob.__doc__})
    return [
        *with_suffix(f"{prefix}/<str:job_id>/status", status, f"{prefix}-status"),
        *with_suffix(f"{prefix}/<str:job_id>/abort", abort, f"{prefix}-abort"),
        *with_suffix(f"{prefix}/<str:job_id>/resume", resume, f"{prefix}-resume"),
        *with_suffix(f"{prefix}/<str:job_id>", detail, f"{prefix}-detail"),
    ]


urlpatterns = [*with_suffix("index", views.Index, "index"), *job_routes("jobs", views.AnyJob)]
