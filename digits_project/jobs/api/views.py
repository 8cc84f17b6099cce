"""The viewsets that datasets and models share."""

from collections.abc import Sequence
from typing import Any, Generic, cast, overload

from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from digits_project import __version__
from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.viewsets import Defaults, FormViewSet
from digits_project.api.wire_format import is_of_digits
from digits_project.jobs import services
from digits_project.jobs.api.job_forms import EditForm, PageForm, with_defaults
from digits_project.jobs.api.job_responses import ACTED, MOVED, Created, Listed, Progress, acted, created
from digits_project.jobs.models import LIST_ORDER, J, Job, job_classes
from digits_project.jobs.sharing import shared_names
from digits_project.jobs.visibility import find_visible, visible

# Routes that respond with JSON or text with and without `.json`, errors included.
WITHOUT_PAGE: dict[str, Any] = {"renderer_classes": (PrettyJSONRenderer,), "serializer_class": None}
CLONE = OpenApiParameter("clone", str, description="The id of a job whose fields the form begins with.")


@overload
def fetch(job_class: type[J], job_id: object) -> J: ...
@overload
def fetch(job_class: None, job_id: object) -> Job: ...
def fetch(job_class: type[Job] | None, job_id: object) -> Job:
    """The job with that id, of that class or of any (None). Raises NotFound, also for a job of another class."""
    job = find_visible(job_id, job_class)
    if job is None:
        raise NotFound("Job not found")
    return job


class IndexViewSet(ViewSet):
    """All jobs: running jobs first, then the newest first. `?page=` or `?page_size=` limit the number of each kind."""

    role = Role.USER

    @extend_schema(responses={200: Listed}, parameters=[PageForm])
    def list(self, request, format=None):
        if request.accepted_renderer.format != "json":
            return self.page(request)
        window = PageForm.window(request.query_params)
        jobs = {job_class.ROUTE: _listed(job_class, window) for job_class in job_classes() if job_class.IN_INDEX}
        return Response(_server_facts() | jobs)

    def page(self, request) -> HttpResponseBase:
        """The response to a browser: the home page."""
        raise NotImplementedError


def _server_facts() -> dict[str, str]:
    """What DIGITS says of the server before its jobs: {} in the documented wire format."""
    if not is_of_digits():
        return {}
    return {"version": __version__, "jobs_dir": "" if limited_user() else str(settings.DIGITS_JOBS_DIR)}


def _listed(job_class: type[Job], window: slice) -> list[dict]:
    columns = {"id": "job_id", "name": "name", "status": "status"}
    if hasattr(job_class, "dataset_id"):
        columns["dataset_id"] = "dataset_id"
    rows = visible(job_class).order_by(*LIST_ORDER).values_list(*columns.values())
    return [dict(zip(columns, row, strict=True)) for row in rows[window]]


class CreateViewSet(FormViewSet, Generic[J]):
    """POST of a form makes one job or several. Without `.json` the response leads a browser to the job's page, or to
    the list of all jobs."""

    role = Role.USER
    cloned_class: type[Job] | None = None  # the class of the jobs that `?clone=` can name

    def make_jobs(self, owner: str, **fields) -> list[J]:
        """Create the jobs from the fields of the valid form, by the app's service. Raises Django's ValidationError."""
        raise NotImplementedError

    def describe(self, job: J) -> dict:
        """The JSON object of the response for a created job."""
        return created(job)

    def fields_of(self, job: J) -> dict[str, Any] | None:
        """The fields of this form that would create the same job again; None if another form made it."""
        raise NotImplementedError

    def cloned(self) -> dict[str, Any]:
        """The fields of the job that `?clone=` names; {} without it. Raises NotFound."""
        job_id = self.request.query_params.get("clone")
        if not job_id or self.cloned_class is None:
            return {}
        job = fetch(self.cloned_class, job_id)
        fields = self.fields_of(cast(J, job))
        if fields is None:
            raise NotFound("Job not found")
        return fields | (dict.fromkeys(job.PATHS, "") if limited_user() else {})

    @extend_schema(responses={200: Defaults, **errors(404)}, parameters=[CLONE])
    def defaults(self, request, format=None):
        """The optional fields with their defaults, or with `?clone=` the fields of that job; in a browser, the form."""
        return Response({"defaults": self.get_serializer().defaults() | self.cloned()})

    # Without a docstring: page and schema show that of the class.
    @extend_schema(responses={200: Created, **errors(404, 429, 507)})
    def create(self, request, format=None, **names):
        return self.respond(request, self.valid_form(with_defaults(request.data, self.cloned())))

    def respond(self, request, form: Form) -> HttpResponseBase:
        """Create the jobs of a valid form."""
        try:
            jobs = self.make_jobs(self.owner(), **form.validated_data)
        except DjangoValidationError as wrong:
            raise ValidationError(form.in_wire_names(wrong)) from wrong
        if request.accepted_renderer.format == "json":
            described = [self.describe(job) for job in jobs]
            return Response(described[0] if len(jobs) == 1 else {"jobs": described})
        return HttpResponseRedirect(jobs[0].get_absolute_url() if len(jobs) == 1 else self.page_of(jobs))

    def page_of(self, jobs: list[J]) -> str:
        """The address of the page that shows several jobs that were created together."""
        return _list_of(jobs)

    def owner(self) -> str:
        """The name under which the job is recorded; clients of DIGITS may send it with the form."""
        sent = self.request.query_params.get("username") or self.sent().get("username")
        return usernames.owner(self.request, sent)


def _list_of(jobs: Sequence[Job]) -> str:
    """The address of the home page with these new jobs, which says how many they are."""
    return f"{reverse('home')}?tab={jobs[0].ROUTE}&created={len(jobs)}"


def edit_job(job: Job, values: dict[str, Any]) -> None:
    """Change a job by the values of a valid EditForm."""
    edited = [values.get(name) for name in ("job_name", "job_notes", "group_name")]
    if any(value is not None for value in edited):
        services.edit(job, *edited)
    if "shared_with" in values:
        services.share(job, values["shared_with"])


class JobViewSet(FormViewSet):
    """The jobs of one class, or of all classes (`job_class` None). Each app has its own `retrieve`."""

    job_class: type[Job] | None = None
    role = Role.USER
    serializer_class = EditForm

    def fetch_own(self, job_id: str) -> Job:
        """The job, if the user may change it. Raises NotFound or PermissionDenied."""
        job = fetch(self.job_class, job_id)
        permissions.refuse_to_change(self.request, job)
        return job

    def may_change(self) -> bool:
        """Whether the user may change the job of the page."""
        try:
            self.fetch_own(self.kwargs["job_id"])
        except APIException:
            return False
        return True

    def prefilled(self) -> dict:
        """The values with which the page's form for PUT starts."""
        job = find_visible(self.kwargs["job_id"], self.job_class)
        if job is None:
            return {}
        shared = {"shared_with": ",".join(shared_names(job))} if settings.DIGITS_PRIVATE else {}
        return {"job_name": job.name, "job_notes": job.notes, "group_name": job.group_name} | shared

    @extend_schema(responses=ACTED)
    def update(self, request, job_id, format=None):
        """Change a job's name, its notes, its group, or the groups of accounts that it is shared with."""
        job = self.fetch_own(job_id)
        form = self.valid_form(request.data)
        edit_job(job, form.validated_data)
        return acted(request, f"{job.TYPE} updated.", id=job.pk, status=job.status)

    @extend_schema(responses=ACTED)
    def destroy(self, request, job_id, format=None):
        """Delete a job with its folder. A running job is aborted first; a dataset with models is not deleted."""
        job = self.fetch_own(job_id)
        services.delete(job)
        return acted(request, "Job deleted.", id=job_id)

    @extend_schema(responses={200: Progress})
    @action(detail=True, **WITHOUT_PAGE)
    def status(self, request, job_id, format=None):
        """The status of a job, for clients that poll. It has no page, so it is JSON with or without the suffix."""
        job = find_visible(job_id, self.job_class)
        if job is None:
            return Response({"error": "Job not found."})  # 200: clients that poll expect it
        return Response(
            {
                "error": without_paths(job.error) or None,
                "status": job.status,
                "name": job.name,
                "type": job.TYPE,
                "progress": round(job.progress, 4),
            }
        )

    @extend_schema(responses=ACTED)
    @action(detail=True, methods=["post"], **WITHOUT_PAGE)
    def abort(self, request, job_id, format=None):
        """Abort a job that has not ended. It has no page, so an error is JSON with or without the suffix."""
        job = self.fetch_own(job_id)
        services.abort(job)
        return acted(request, "Job aborted.", id=job.pk, status=job.status)

    @extend_schema(responses={**ACTED, **errors(409, 429, 507)})
    @action(detail=True, methods=["post"], **WITHOUT_PAGE)
    def resume(self, request, job_id, format=None):
        """Resume an aborted or failed job: a training continues from its newest snapshot, any other job from its
        start."""
        job = self.fetch_own(job_id)
        services.resume(job)
        return acted(request, "Job resumed.", id=job.pk, status=job.status)


class AnyJobViewSet(JobViewSet):
    """Redirects to the page of the dataset, the model or the evaluation."""

    @extend_schema(responses=MOVED)
    def retrieve(self, request, job_id, format=None):
        return HttpResponseRedirect(fetch(None, job_id).get_absolute_url(".json" if format == "json" else ""))
