"""The jobs that the current user may see.

With DIGITS_PRIVATE these are the user's own jobs and those shared with one of the user's groups, else all jobs. Routes,
forms and admin find jobs through this module; services and workers see every job.
"""

from typing import overload

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet

from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user
from digits_project.common.job_ids import is_job_id
from digits_project.jobs.models import J, Job, job_classes


def visible(job_class: type[Job]) -> QuerySet:
    """The jobs of a class that the user may see."""
    user = limited_user()
    if user is None:
        return job_class.objects.all()
    return job_class.objects.filter(_seen_by(user, job_class)) if user.is_authenticated else job_class.objects.none()


@overload
def find_visible(job_id: object, job_class: type[J]) -> J | None: ...
@overload
def find_visible(job_id: object, job_class: None = None) -> Job | None: ...
def find_visible(job_id: object, job_class: type[Job] | None = None) -> Job | None:
    """The visible job with that id, of that class or of any (None); None if there is none."""
    if not is_job_id(job_id):
        return None
    found = (visible(one).filter(pk=job_id).first() for one in ([job_class] if job_class else job_classes()))
    return next((job for job in found if job), None)


def is_visible(job: Job) -> bool:
    return limited_user() is None or visible(type(job)).filter(pk=job.pk).exists()


def named(job: Job) -> str:
    """A job's name in a message to the user."""
    return f"{job.name} ({job.pk})" if is_visible(job) else "a job that you can't see"


def shown_name(job: Job) -> str:
    """A job's name with its kind in front, in a message to the user."""
    return str(job) if is_visible(job) else named(job)


def groups_to_share_with() -> QuerySet:
    """The groups with which the user may share a job: the user's own groups and those of the roles."""
    user = limited_user()
    groups = Group.objects.order_by("name")
    if user is None:
        return groups
    return groups.filter(Q(user=user) | Q(name__in=[role.group for role in Role])).distinct()


def _seen_by(user, job_class: type[Job]) -> Q:
    through = job_class.shared_with.through
    column = f"{job_class._meta.model_name}_id"
    shared = through._default_manager.filter(group__user=user).values(column)
    seen = Q(owner=user.get_username()) | Q(pk__in=shared)
    if not job_class.PART_OF:
        return seen
    related = job_class._meta.get_field(job_class.PART_OF).related_model
    whole = next(parent for parent in job_classes() if parent is related)
    return seen | Q(**{f"{job_class.PART_OF}__in": visible(whole)})
