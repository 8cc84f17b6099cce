"""The home page, its fragments, and actions on chosen jobs."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from digits_project.accounts import permissions
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.viewsets import PageView
from digits_project.common.errors import BadInput
from digits_project.jobs import services
from digits_project.jobs.api.job_forms import EditForm
from digits_project.jobs.api.many_jobs import NotChanged, act_on_each
from digits_project.jobs.api.views import IndexViewSet, edit_job, fetch
from digits_project.jobs.models import Job
from digits_project.jobs.pages.listings import asked_by, job_list
from digits_project.jobs.pages.now import now

MAX_CHOSEN = 1000
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
        action, ids = str(self._sent.get("action")), self._chosen()
        if action == "edit":
            return self._edit(ids)
        if action not in PAST:
            raise BadInput("Choose what to do with the jobs: abort, resume, delete or group.")
        if action == "delete" and not self._sent.get("confirmed"):
            jobs = [fetch(None, job_id) for job_id in ids]
            return PageResponse({}, "home/confirm.html", jobs=jobs, next=self._next())
        prepare = services.stop_together if action == "delete" else None
        refusals = act_on_each(request, ids, self._actions()[action], prepare)
        if refusals:
            raise _refused(refusals, len(ids), PAST[action])
        return HttpResponseRedirect(self._next())

    def _actions(self) -> dict[str, Callable[[Job], None]]:
        group = partial(services.edit, group_name=str(self._sent.get("group_name", "")).strip())
        return {"abort": services.abort, "resume": services.resume, "delete": services.delete, "group": group}

    def _edit(self, ids: list[str]) -> HttpResponse:
        if len(ids) != 1:
            raise BadInput("Choose one job to change.")
        job = fetch(None, ids[0])
        permissions.refuse_to_change(self.request, job)
        edit_job(job, EditForm.valid_values(self.request.data))
        return HttpResponseRedirect(self._next())

    def _chosen(self) -> list[str]:
        """The posted ids of jobs, each once. Raises BadInput."""
        sent = self._sent
        ids = sent.getlist("ids") if hasattr(sent, "getlist") else list(sent.get("ids") or [])
        if not 0 < len(ids) <= MAX_CHOSEN:
            raise BadInput(f"Choose from 1 to {MAX_CHOSEN} jobs.")
        return list(dict.fromkeys(map(str, ids)))

    def _next(self) -> str:
        """The page to show afterwards; one of another site is the home page."""
        page = str(self._sent.get("next") or "")
        here = {self.request.get_host()}
        is_ours = url_has_allowed_host_and_scheme(page, here, self.request.is_secure())
        return page if is_ours else reverse("home")


def _refused(refusals: list[NotChanged], chosen: int, done: str) -> Exception:
    """The exception that says which of the chosen jobs an action could not change: the reason alone for one job."""
    if chosen == 1:
        return refusals[0].error
    reasons = [f"{refusal.job.name}: {refusal.reason}" for refusal in refusals if refusal.job]
    missing = len(refusals) - len(reasons)
    reasons += [f"{missing} {'is' if missing == 1 else 'are'} no longer there."] if missing else []
    return Conflict("\n".join([f"{chosen - len(refusals)} of {chosen} were {done}.", *reasons]))
