"""Hides jobs and paths in the admin from users who may see only some jobs (DIGITS_PRIVATE)."""

from collections.abc import Callable
from typing import Generic

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import path, reverse

from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.jobs import services
from digits_project.jobs.models import J
from digits_project.jobs.visibility import find_visible, groups_to_share_with, is_visible, visible


class ShowsWhatIsVisible(admin.ModelAdmin, Generic[J]):
    """The pages of jobs of one class, and their URLs: lists, pages and choices contain only what the user may see."""

    model: type[J]

    def get_queryset(self, request):
        rows = super().get_queryset(request)
        return rows if limited_user() is None else rows.filter(pk__in=visible(self.model).values("pk"))

    def get_list_filter(self, request):
        """The filters without the one by owner, which would list the owners of hidden jobs too."""
        filters = super().get_list_filter(request)
        return filters if limited_user() is None else [name for name in filters if name != "owner"]

    def find(self, job_id: str) -> J | None:
        """The job with this id, if the user may see it; else None."""
        return find_visible(job_id, self.model)

    def seen(self, request, job_id: str) -> J:
        """The job, if the user may view it. Raises Http404 or PermissionDenied."""
        job = find_visible(job_id, self.model)
        if job is None:
            raise Http404("There is no such job.")
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job

    def changed(self, request, job_id: str) -> J:
        """The job, if the user may change it. Raises Http404 or PermissionDenied."""
        job = self.seen(request, job_id)
        if not self.has_change_permission(request, job):
            raise PermissionDenied
        return job

    def route(self, pattern: str, view: Callable, name: str, cacheable: bool = False):
        """A URL pattern under the admin's list page, for admin users. A `cacheable` view sets its own cache headers."""
        named = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(pattern, self.admin_site.admin_view(view, cacheable), name=named)

    def address(self, name: str, *args) -> str:
        """The URL of one of this admin's pages."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args)

    def get_exclude(self, request, obj=None):
        return [*(super().get_exclude(request, obj) or ()), *self.hidden_columns(obj)]

    def hidden_columns(self, job: J | None) -> set[str]:
        """The columns that the page does not show."""
        unused = set() if settings.DIGITS_PRIVATE else {"shared_with"}
        if limited_user() is None:
            return unused
        # The page shows the error above the columns, without paths; `worker` names a host.
        return unused | {*self.model.PATHS, "worker", "error"} | self._hidden_relations(job)

    def _hidden_relations(self, job: J | None) -> set[str]:
        relations = [field.name for field in self.model._meta.fields if field.is_relation]
        others = {name: getattr(job, name) for name in relations} if job else {}
        return {name for name, other in others.items() if other is not None and not is_visible(other)}

    def without_paths(self, job: J) -> J:
        """The row with paths removed, for display only."""
        job.error = without_paths(job.error)
        return job

    # --- sharing ---------------------------------------------------------------------------------------------------
    def formfield_for_manytomany(self, db_field, request, **kwargs):
        if db_field.name == "shared_with":
            kwargs["queryset"] = groups_to_share_with()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(self, request, form, formsets, change):
        if "shared_with" in form.changed_data:
            services.share(form.instance, list(form.cleaned_data["shared_with"]))
