"""The home page, its fragments, and actions on chosen jobs."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from rest_framework.exceptions import APIException

from digits_project.accounts import permissions
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import ERROR_STATUSES, Conflict, http_text
from digits_project.api.viewsets import PageView
from digits_project.common.errors import BadInput
from digits_project.jobs import services
from digits_project.jobs.api.job_forms import EditForm
from digits_project.jobs.api.views import IndexViewSet, edit_job, fetch
from digits_project.jobs.models import Job
from digits_project.jobs.pages.listings import asked_by, job_list
from digits_project.jobs.pages.now import now

MAX_CHOSEN = 1000
CAN_FAIL: tuple[type[Exception], ...] = (
    APIException,
    *(error for error in ERROR_STATUSES if issubclass(error, Exception)),
)
PAST = {"abort": "aborted", "resume": "resumed", "delete": "deleted", "group": "grouped"}


class HomeViewSet(IndexViewSet):
    """All jobs: running jobs first, then the newest first. `?page=` or `?page_size=` limit the number of each kind."""

    def page(self, request):
        return PageResponse({}, "home.html", **job_list(asked_by(request.query_params)), **now(request))


class NowFragment(PageView):
    """The part of the home page about what runs and what waits."""

    def get(self, request):
        return PageResponse({}, "home/now.html", **now(request))


class JobsFragment(PageView):
    """The part of the home page that lists jobs, as the query string describes."""

    def get(self, request):
        return PageResponse({}, "home/jobs.html", **job_list(asked_by(request.query_params)))


class ChosenJobs(PageView):
    """Abort, resume, delete or change the jobs `ids`, and return to the page `next`. Deleting needs a confirmation."""

    role = Role.USER
    name = "Jobs"

    def get_view_name(self):
        return self.name

    @property
    def _sent(self) -> Any:
        """The posted fields: a QueryDict of a form, or the object of a JSON body."""
        return self.request.data

    def post(self, request) -> HttpResponse:
        action, jobs = str(self._sent.get("action")), self._chosen()
        if action == "edit":
            return self._edit(jobs)
        if action not in PAST:
            raise BadInput("Choose what to do with the jobs: abort, resume, delete or group.")
        if action == "delete" and not self._sent.get("confirmed"):
            return PageResponse({}, "home/confirm.html", jobs=jobs, next=self._next())
        act = self._actions()[action]
        failures = [failure for job in jobs if (failure := self._failure(act, job, alone=len(jobs) == 1))]
        if failures:
            done = f"{len(jobs) - len(failures)} of {len(jobs)} were {PAST[action]}."
            raise Conflict("\n".join([done, *failures]))
        return HttpResponseRedirect(self._next())

    def _actions(self) -> dict[str, Callable[[Job], None]]:
        group = partial(services.edit, group_name=str(self._sent.get("group_name", "")).strip())
        return {"abort": services.abort, "resume": services.resume, "delete": services.delete, "group": group}

    def _failure(self, act: Callable[[Job], None], job: Job, alone: bool) -> str:
        """Do it; why it failed, or "". Raises the exception if the job is alone."""
        try:
            permissions.refuse_to_change(self.request, job)
            act(job)
        except CAN_FAIL as error:
            if alone:
                raise
            return f"{job.name}: {error.detail if isinstance(error, APIException) else http_text(error)}"
        return ""

    def _edit(self, jobs: list[Job]) -> HttpResponse:
        if len(jobs) != 1:
            raise BadInput("Choose one job to change.")
        permissions.refuse_to_change(self.request, jobs[0])
        edit_job(jobs[0], EditForm.valid_values(self.request.data))
        return HttpResponseRedirect(self._next())

    def _chosen(self) -> list[Job]:
        """The visible jobs with the posted ids. Raises BadInput or NotFound."""
        sent = self._sent
        ids = sent.getlist("ids") if hasattr(sent, "getlist") else list(sent.get("ids") or [])
        if not 0 < len(ids) <= MAX_CHOSEN:
            raise BadInput(f"Choose from 1 to {MAX_CHOSEN} jobs.")
        return [fetch(None, job_id) for job_id in dict.fromkeys(ids)]

    def _next(self) -> str:
        """The page to show afterwards; one of another site is the home page."""
        page = str(self._sent.get("next") or "")
        here = {self.request.get_host()}
        is_ours = url_has_allowed_host_and_scheme(page, here, self.request.is_secure())
        return page if is_ours else reverse("home")
