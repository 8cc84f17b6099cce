"""The jobs that the current user may see.

With DIGITS_PRIVATE these are the user's own jobs and those shared with one of the user's groups, else all jobs. Routes,
forms and admin find jobs through this module; services and workers see every job.
"""

from typing import TypeVar, overload

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet

from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user
from digits_project.common.job_ids import is_job_id
from digits_project.jobs.models import Job, job_kinds


def visible(kind: type[Job]) -> QuerySet:
    """The visible jobs of a kind."""
    user = limited_user()
    if user is None:
        return kind.objects.all()
    return kind.objects.filter(_seen_by(user, kind)) if user.is_authenticated else kind.objects.none()


J = TypeVar("J", bound=Job)


@overload
def find_visible(job_id: object, kind: type[J]) -> J | None: ...
@overload
def find_visible(job_id: object, kind: None = None) -> Job | None: ...
def find_visible(job_id: object, kind: type[Job] | None = None) -> Job | None:
    """The visible job with that id, of that kind or of any (None); None if there is none."""
    if not is_job_id(job_id):
        return None
    found = (visible(one).filter(pk=job_id).first() for one in ([kind] if kind else job_kinds()))
    return next((job for job in found if job), None)


def is_visible(job: Job) -> bool:
    return limited_user() is None or visible(type(job)).filter(pk=job.pk).exists()


def named(job: Job) -> str:
    """A job's name in a message to the user."""
    return f"{job.name} ({job.pk})" if is_visible(job) else "a job that is not shown to you"


def shown_name(job: Job) -> str:
    """The same, preceded by the kind of job."""
    return str(job) if is_visible(job) else named(job)


def groups_to_share_with() -> QuerySet:
    """The groups with which the user may share a job: the user's own groups and those of the roles."""
    user = limited_user()
    groups = Group.objects.order_by("name")
    if user is None:
        return groups
    return groups.filter(Q(user=user) | Q(name__in=[role.group for role in Role])).distinct()


def _seen_by(user, kind: type[Job]) -> Q:
    through = kind.shared_with.through
    column = f"{kind._meta.model_name}_id"
    shared = through.objects.filter(group__user=user).values(column)
    seen = Q(owner=user.get_username()) | Q(pk__in=shared)
    if not kind.PART_OF:
        return seen
    whole = kind._meta.get_field(kind.PART_OF).related_model
    return seen | Q(**{f"{kind.PART_OF}__in": visible(whole)})
