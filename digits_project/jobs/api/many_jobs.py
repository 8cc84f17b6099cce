"""The viewset of the actions on several jobs at once, as DIGITS's home page sends them."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied

from digits_project.accounts import permissions
from digits_project.accounts.roles import Role
from digits_project.api.error_statuses import http_text
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.viewsets import FormViewSet
from digits_project.common.errors import BadInput, Gone, IllegalTransition, LimitReached, Refused
from digits_project.jobs import services
from digits_project.jobs.api.job_forms import JOB_IDS, JobIdsForm
from digits_project.jobs.api.job_responses import TEXT, acted
from digits_project.jobs.models import Job
from digits_project.jobs.visibility import find_visible

IDS = OpenApiParameter(
    JOB_IDS,
    str,
    many=True,
    explode=True,
    description="The ids of the jobs, once for each; the body can have them instead.",
)
REFUSALS = (APIException, Gone, Refused, LimitReached, IllegalTransition, DjangoValidationError)
MAX_REASONS = 3  # in a message


class NotChanged(NamedTuple):
    """A job that an action could not change, and why; `job` is None if there is no such job."""

    job: Job | None
    error: Exception

    @property
    def is_missing(self) -> bool:
        return self.job is None or isinstance(self.error, Gone)

    @property
    def reason(self) -> str:
        if isinstance(self.error, DjangoValidationError):
            return " ".join(self.error.messages)
        return str(self.error.detail) if isinstance(self.error, APIException) else http_text(self.error)


def act_on_each(
    request, ids: Iterable[str], service: Callable[[Job], None], prepare: Callable[[Sequence[Job]], None] | None = None
) -> list[NotChanged]:
    """Call the service for each job that the user may change, after `prepare` for all of them together. Returns the
    refusals; all other jobs were changed."""
    refusals, jobs = [], []
    for job_id in dict.fromkeys(ids):
        job = find_visible(job_id)
        try:
            if job is None:
                raise Gone
            permissions.refuse_to_change(request, job)
        except (Gone, PermissionDenied) as error:
            refusals.append(NotChanged(job, error))
        else:
            jobs.append(job)
    if prepare:
        prepare(jobs)
    for job in jobs:
        try:
            service(job)
        except REFUSALS as error:
            refusals.append(NotChanged(job, error))
    return refusals


class ManyActedFacts(serializers.Serializer):
    """What an action did to several jobs."""

    message = serializers.CharField(help_text="What was done, in DIGITS's words, such as `Jobs aborted.`")


MANY_ACTED = {(200, "application/json"): ManyActedFacts, **TEXT}  # the text with DIGITS_WIRE_FORMAT=digits


class ManyJobsViewSet(FormViewSet):
    """An action on several jobs, of any class. A 400 counts the jobs that could not be changed; all others were."""

    role = Role.USER
    serializer_class = JobIdsForm
    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses=MANY_ACTED)
    def abort(self, request, format=None):
        """Abort several jobs."""
        self._each(self._ids(request.data), services.abort, "aborted", "abort")
        return acted(request, "Jobs aborted.")

    @extend_schema(responses=MANY_ACTED, parameters=[IDS])
    def destroy(self, request, format=None):
        """Delete several jobs with their folders. Running jobs are aborted first."""
        data = request.query_params if JOB_IDS in request.query_params else request.data
        self._each(self._ids(data), services.delete, "deleted", "delete", services.stop_together)
        return acted(request, "Jobs deleted.")

    @extend_schema(responses=MANY_ACTED)
    def regroup(self, request, format=None):
        """Put several jobs into a group."""
        form = self.valid_form(request.data)
        name = form.validated_data["group_name"]
        self._each(
            form.validated_data[JOB_IDS], lambda job: services.edit(job, group_name=name), "regrouped", "regroup"
        )
        return acted(request, "Jobs regrouped.")

    def _ids(self, data) -> list[str]:
        return self.valid_form(data).validated_data[JOB_IDS]

    def _each(
        self,
        ids: Iterable[str],
        service: Callable[[Job], None],
        done: str,
        verb: str,
        prepare: Callable[[Sequence[Job]], None] | None = None,
    ) -> None:
        """Call the service for each job that the user may change. Raises BadInput, which counts the others."""
        refusals = act_on_each(self.request, ids, service, prepare)
        there = [refusal for refusal in refusals if not refusal.is_missing]
        reasons = [refusal.reason for refusal in there if not isinstance(refusal.error, PermissionDenied)]
        problems = [
            _counted(len(refusals) - len(there), "not found"),
            _counted(len(there) - len(reasons), f"not permitted to be {done}"),
            _counted(len(reasons), f"failed to {verb}") + "".join(f" {reason}" for reason in reasons[:MAX_REASONS]),
        ]
        if refusals:
            raise BadInput(" ".join(filter(None, problems)))


def _counted(number: int, what: str) -> str:
    """A sentence of DIGITS about so many jobs; "" about none."""
    return f"{number} job{'' if number == 1 else 's'} {what}." if number else ""
