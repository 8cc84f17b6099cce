"""The routes that datasets and models share."""

from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Case, When
from django.http import HttpResponse, HttpResponseRedirect
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.serializers import CharField, IntegerField
from rest_framework.views import APIView

from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import without_paths
from digits_project.api.forms import Form
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.jobs import services
from digits_project.jobs.api.job_responses import MOVED, SAID, Created, Defaults, Listed, Progress, created
from digits_project.jobs.models import Job, Status, job_kinds
from digits_project.jobs.sharing import GroupNames, shared_names
from digits_project.jobs.visibility import find_visible, visible


class JobApiView(APIView):
    """The view of one kind of job, or of either (`kind` None)."""

    kind: type[Job] | None = None
    role = Role.USER

    def fetch_own(self, job_id: str) -> Job:
        """The job, for whoever may change it. Raises NotFound or PermissionDenied."""
        job = fetch(self.kind, job_id)
        permissions.refuse_to_change(self.request, job)
        return job

    def owner(self) -> str:
        """The name under which what this request creates is recorded; DIGITS's clients may send it with the form."""
        return usernames.owner(
            self.request, self.request.query_params.get("username") or self.request.data.get("username")
        )


class FormView(JobApiView):
    """A view that takes a form, which DRF's page shows."""

    serializer_class: type[Form]
    answers: dict = {"get": Defaults}

    def get_serializer(self, *args, **kwargs):
        return self.serializer_class(*args, **kwargs)

    def get(self, request, format=None):
        """The optional fields with their defaults; in a browser, the form."""
        return Response({"defaults": self.serializer_class().defaults()})


class CreateView(FormView):
    """POST of a form makes a job. Without `.json` the answer leads a browser to the job's page."""

    answers = {"get": Defaults, "post": Created}
    refusals: dict = {"post": (429, 507)}

    def create(self, owner: str, **fields) -> Job:
        """The service that makes the job. Raises Django's ValidationError."""
        raise NotImplementedError

    def describe(self, job: Job) -> dict:
        """The answer in JSON."""
        return created(job)

    def post(self, request, format=None):
        form = self.serializer_class(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            job = self.create(self.owner(), **form.validated_data)
        except DjangoValidationError as wrong:
            raise ValidationError(form.in_wire_names(wrong)) from wrong
        return self.answer(request, job)

    def answer(self, request, job: Job):
        if request.accepted_renderer.format == "json":
            return Response(self.describe(job))
        return HttpResponseRedirect(job.get_absolute_url())


def fetch(kind: type[Job] | None, job_id: str) -> Job:
    """The job of that kind, or of either (None); raises NotFound, also for a job of the other kind."""
    job = find_visible(job_id, kind)
    if job is None:
        raise NotFound("Job not found")
    return job


class PageForm(Form):
    """Which part of a list."""

    page = IntegerField(default=1, min_value=1, max_value=1_000_000, help_text="From 1. Without both, all are listed.")
    page_size = IntegerField(default=100, min_value=1, max_value=10_000, help_text="Jobs of each kind on a page.")


class Index(JobApiView):
    """All jobs, those that run first, then the newest first; with `?page=` or `?page_size=` so many of each kind."""

    name = "Jobs"
    page = "home.html"
    answers = {"get": Listed}
    queries = {"get": PageForm}

    def get(self, request, format=None):
        asked = PageForm(data=request.query_params)
        asked.is_valid(raise_exception=True)
        number, size = asked.validated_data["page"], asked.validated_data["page_size"]
        by_pages = {"page", "page_size"} & set(request.query_params) or request.accepted_renderer.format != "json"
        window = slice((number - 1) * size, number * size) if by_pages else slice(None)
        listed = {kind.KIND: _listed(kind, window) for kind in job_kinds() if kind.IN_INDEX}
        self.newer = number - 1  # the pages before and after this one, 0 where there is none
        self.older = number + 1 if max(map(len, listed.values())) >= size else 0
        return Response(listed)


def _listed(kind: type[Job], window: slice) -> list[dict]:
    columns = {"id": "job_id", "name": "name", "status": "status"}
    if hasattr(kind, "dataset_id"):
        columns["dataset_id"] = "dataset_id"
    running_first = Case(When(status=Status.RUNNING, then=0), default=1)
    rows = visible(kind).order_by(running_first, "-created_at").values_list(*columns.values())
    return [dict(zip(columns, row, strict=True)) for row in rows[window]]


class EditForm(Form):
    """What PUT takes: DIGITS's names for a job's name and notes."""

    job_name = CharField(required=False, max_length=255, help_text="Another name.")
    job_notes = CharField(required=False, max_length=100_000, allow_blank=True, help_text="What is to be noted.")
    shared_with = GroupNames(
        required=False, allow_blank=True, help_text="Groups whose accounts see it too on a private server, with commas."
    )

    def validate(self, form):
        if not form:
            raise ValidationError("Nothing to change: send job_name, job_notes or shared_with.")
        return form


class EditView(FormView):
    """PUT and DELETE of a job; the GET is each kind's own."""

    serializer_class = EditForm
    answers = {"put": SAID, "delete": SAID}

    def put(self, request, job_id, format=None):
        """Change a job's name, its notes, or the groups that it is shared with."""
        job = self.fetch_own(job_id)
        form = EditForm(data=request.data)
        form.is_valid(raise_exception=True)
        if {"job_name", "job_notes"} & set(form.validated_data):
            services.edit(job, form.validated_data.get("job_name"), form.validated_data.get("job_notes"))
        if "shared_with" in form.validated_data:
            services.share(job, form.validated_data["shared_with"])
        return _said(f"{job.TYPE} updated.")

    def prefilled(self) -> dict:
        """What the page's form for PUT begins with."""
        job = find_visible(self.kwargs["job_id"], self.kind)
        if job is None:
            return {}
        shared = {"shared_with": ",".join(shared_names(job))} if settings.DIGITS_PRIVATE else {}
        return {"job_name": job.name, "job_notes": job.notes} | shared

    def delete(self, request, job_id, format=None):
        """Delete a job with its folder. One that runs is aborted first; a dataset with models is refused."""
        services.delete(self.fetch_own(job_id))
        return _said("Job deleted.")


class AnyJob(EditView):
    """Leads to the page of the dataset, the model or the evaluation."""

    answers = EditView.answers | {"get": MOVED}

    def get(self, request, job_id, format=None):
        return HttpResponseRedirect(fetch(None, job_id).get_absolute_url(".json" if format == "json" else ""))


class JobStatus(JobApiView):
    """Where a job is: what clients poll. It has no page, so it is JSON with or without the suffix."""

    renderer_classes = (PrettyJSONRenderer,)
    answers = {"get": Progress}

    def get(self, request, job_id, format=None):
        job = find_visible(job_id, self.kind)
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


class AbortJob(JobApiView):
    """Stop a job that has not ended. It has no page: a refusal is JSON with or without the suffix."""

    renderer_classes = (PrettyJSONRenderer,)
    answers = {"post": SAID}

    def post(self, request, job_id, format=None):
        services.abort(self.fetch_own(job_id))
        return _said("Job aborted.")


class ResumeJob(JobApiView):
    """Let a job that was aborted or failed go on: a training from its newest snapshot, anything else from its start."""

    renderer_classes = (PrettyJSONRenderer,)
    answers = {"post": SAID}
    refusals = {"post": (409, 429, 507)}

    def post(self, request, job_id, format=None):
        services.resume(self.fetch_own(job_id))
        return _said("Job resumed.")


def _said(text: str) -> HttpResponse:
    """Plain text, as DIGITS answered."""
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
