from django.urls import URLPattern, path

from digits_project.api.routes import action_routes, action_view
from digits_project.jobs.api.job_files import JobFilesViewSet
from digits_project.jobs.api.job_forms import RegroupForm
from digits_project.jobs.api.job_resources import ResourceViewSet
from digits_project.jobs.api.many_jobs import ManyJobsViewSet
from digits_project.jobs.api.server_resources import ServerViewSet
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


def resource_routes(name: str, viewset: type[ResourceViewSet]) -> list:
    """The routes of a class of jobs under /api/v1: its list, and one job."""
    return [
        path(f"api/v1/{name}", action_view(viewset, {"get": "list"}), name=f"v1-{name}"),
        path(f"api/v1/{name}/<str:job_id>", action_view(viewset, {"get": "retrieve"}), name=f"v1-{name}-detail"),
    ]


def server_route(name: str) -> URLPattern:
    """The route under /api/v1 of a part of the server's state."""
    return path(f"api/v1/{name}", action_view(ServerViewSet, {"get": name}), name=f"v1-{name}")


urlpatterns = [
    *action_routes("jobs", ManyJobsViewSet, {"delete": "destroy"}, "jobs-delete"),
    *action_routes("abort_jobs", ManyJobsViewSet, {"post": "abort"}, "jobs-abort-many"),
    *action_routes("group", ManyJobsViewSet, {"post": "regroup"}, "jobs-group", serializer_class=RegroupForm),
    path("files/<str:job_id>/<path:path>", action_view(JobFilesViewSet, {"get": "retrieve"}), name="job-file"),
    *map(server_route, ("queue", "devices", "workers", "disk")),
    *job_routes("jobs", AnyJobViewSet, "Any Job"),
    path("uploads", ReceivedFiles.as_view(), name="uploads"),
    path("uploads/<str:key>", ReceivedFileView.as_view(), name="upload"),
]
