from django.urls import path

from digits_project.api.routes import action_routes
from digits_project.jobs.api.tus_views import ReceivedFiles, ReceivedFileView
from digits_project.jobs.api.views import AnyJobViewSet, JobViewSet


def job_routes(prefix: str, viewset: type[JobViewSet], name: str) -> list:
    """The routes of one class of jobs: the job itself (`name` is its page's title), status, abort, resume."""
    job = f"{prefix}/<str:job_id>"
    itself = {"get": "retrieve", "put": "update", "delete": "destroy"}
    return [
        *action_routes(f"{job}/status", viewset, {"get": "status"}, f"{prefix}-status"),
        *action_routes(f"{job}/abort", viewset, {"post": "abort"}, f"{prefix}-abort"),
        *action_routes(f"{job}/resume", viewset, {"post": "resume"}, f"{prefix}-resume"),
        *action_routes(job, viewset, itself, f"{prefix}-detail", name=name),
    ]


urlpatterns = [
    *job_routes("jobs", AnyJobViewSet, "Any Job"),
    path("uploads", ReceivedFiles.as_view(), name="uploads"),
    path("uploads/<str:key>", ReceivedFileView.as_view(), name="upload"),
]
