"""The base of the admin's pages for jobs."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.http import require_POST
from rest_framework.exceptions import PermissionDenied as NotTheirs

from digits_project.accounts import permissions
from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.common import errors
from digits_project.common.errors import IllegalTransition, LimitReached
from digits_project.jobs import log_files, services
from digits_project.jobs.admin.create_pages import CreatesJobs
from digits_project.jobs.models import J, Status
from digits_project.jobs.visibility import shown_name

EDITABLE = ("name", "notes", "priority")
LOWEST, HIGHEST = -32768, 32767  # of a priority
PRIORITY = forms.IntegerField(min_value=LOWEST, max_value=HIGHEST)
REFUSALS = (errors.Refused, LimitReached, errors.Gone, IllegalTransition, NotTheirs)


class JobActions(ActionForm):
    """The form above a list of jobs that runs an action on the selected ones, with the field that one action needs."""

    priority = forms.CharField(required=False, initial="0", help_text="For the action that changes the priority.")


class DecoratedList(ChangeList):
    """A list that loads further data for all its rows at once (JobAdmin.decorate)."""

    model_admin: "JobAdmin"

    def __init__(self, request, *args):
        super().__init__(request, *args)
        self.title = str(capfirst(self.opts.verbose_name_plural))

    def get_results(self, request):
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.model_admin.decorate(self.result_list)


class JobAdmin(CreatesJobs[J]):
    """Shows a job and lets users change its name, notes and priority. All other changes go through services."""

    list_filter: ClassVar[tuple[str, ...]] = ("status",)
    search_fields: ClassVar[tuple[str, ...]] = ("job_id", "name", "owner")
    actions: tuple[str, ...] = ("abort", "resume", "clone", "change_priority")
    action_form = JobActions
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    log_file = ""  # in the job's folder
    change_form_template = "admin/jobs/change_form.html"
    _delete_view: Callable[..., HttpResponse]  # Django's delete_view() without its transaction

    # --- what a page shows -----------------------------------------------------------------------------------------
    def get_changelist(self, request, **kwargs):
        return DecoratedList

    def decorate(self, jobs: list[J]) -> None:
        """Load the data that the rows of a list show beside their columns, in a constant number of queries."""

    def page(self, request, job: J) -> dict:
        """Template context of a job's page, beside its columns."""
        return {
            "job": self.without_paths(job),
            "may_change": self.has_change_permission(request, job),
            "may_clone": self.has_add_permission(request),
            "may_resume": job.status in (Status.ABORTED, Status.ERROR),
            "log": without_paths(log_files.tail(job.directory / self.log_file)),
            "log_file": self.log_file,
        }

    def history_view(self, request, object_id, extra_context=None):
        """Show the audit log's entries about the job."""
        return redirect(f"{reverse('admin:accounts_auditentry_changelist')}?q={object_id}")

    def change_view(self, request, object_id, form_url="", extra_context=None):
        job = self.find(object_id)
        shown = self.page(request, job) if job and self.has_view_permission(request, job) else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | shown)

    def get_readonly_fields(self, request, obj=None):
        left_out, shown_by = {*EDITABLE, *self.hidden_columns(obj)}, {"status_history": "changes_of_status"}
        columns = [field.name for field in self.model._meta.fields if field.name not in left_out]
        return [shown_by.get(name, name) for name in columns]

    @admin.display(description="status history")
    def changes_of_status(self, job: J):
        """A line for each change: when, which status, and why if that is known."""
        lines = ((moment[:19].replace("T", " "), status, *why) for status, moment, *why in job.status_history)
        return format_html_join(SafeString("<br>"), "{}", ((without_paths(" ".join(line)),) for line in lines))

    @admin.display(description="status", ordering="status")
    def state(self, job: J):
        """The status; of a running job also its progress and the lines of `about_run`."""
        job.error = without_paths(job.error)
        return render_to_string("jobs/state.html", {"job": job, "about": self.about_run(job)})

    def about_run(self, job: J) -> list[str]:
        """Lines that the list shows below a running job's progress."""
        return []

    @admin.display(description="created", ordering="created_at")
    def created(self, job: J):
        return format_html("<span>{}</span> <span>{}</span>", *f"{job.created_at:%Y-%m-%d %H:%M}".split())

    # --- who may what ----------------------------------------------------------------------------------------------
    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and self._may_act_on(request, obj)

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and self._may_act_on(request, obj)

    def _may_act_on(self, request, job: J | None) -> bool:
        return job is None or permissions.may_change(request, job)

    # --- what can be done ------------------------------------------------------------------------------------------
    def get_urls(self):
        return [
            self.route("<str:job_id>/abort/", require_POST(self.abort_one), "abort"),
            self.route("<str:job_id>/resume/", require_POST(self.resume_one), "resume"),
            *super().get_urls(),
        ]

    def abort_one(self, request, job_id):
        self.attempt(request, services.abort, [self.changed(request, job_id)], "Asked to abort")
        return redirect(self.address("change", job_id))

    def resume_one(self, request, job_id):
        self.attempt(request, services.resume, [self.changed(request, job_id)], "Waiting again")
        return redirect(self.address("change", job_id))

    @admin.action(description="Abort selected jobs", permissions=["change"])
    def abort(self, request, queryset):
        self.attempt(request, services.abort, queryset, "Asked to abort")

    @admin.action(description="Resume selected jobs", permissions=["change"])
    def resume(self, request, queryset):
        self.attempt(request, services.resume, queryset, "Waiting again")

    @admin.action(description="Clone with changes", permissions=["add"])
    def clone(self, request, queryset):
        chosen = list(queryset.values_list("pk", flat=True)[:2])
        if len(chosen) != 1:
            self.message_user(request, "Choose one job to clone.", messages.WARNING)
            return None
        return redirect(f"{self.address('add')}?clone={chosen[0]}")

    @admin.action(description="Change the priority of selected jobs", permissions=["change"])
    def change_priority(self, request, queryset):
        try:
            priority = PRIORITY.clean(request.POST.get("priority"))
        except ValidationError:
            problem = f"Write the priority beside the action: a whole number from {LOWEST} to {HIGHEST}."
            self.message_user(request, problem, messages.ERROR)
            return
        change = partial(services.set_priority, priority=priority)
        self.attempt(request, change, queryset, f"Priority {priority}")

    def save_model(self, request, obj, form, change):
        changed = {name: form.cleaned_data[name] for name in form.changed_data if name in EDITABLE}
        if "priority" in changed:
            services.set_priority(obj, changed.pop("priority"))
        if changed:
            services.edit(obj, **changed)

    def log_change(self, request, *what):
        """Do nothing, because services write the audit log."""

    log_deletions = log_addition = log_change

    def attempt(self, request, service: Callable, jobs: Iterable[J], done: str) -> None:
        """Call the service for each job that the user may change, and show a message with the result."""
        names = []
        for job in jobs:
            try:
                permissions.refuse_to_change(request, job)
                service(job)
            except REFUSALS as refusal:
                self.message_user(
                    request, without_paths(str(refusal)) or f"{job.name} was deleted meanwhile.", messages.ERROR
                )
            else:
                names.append(job.name)
        if names:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            self.message_user(request, f"{done}: {shown}.", messages.SUCCESS)

    # --- deletion --------------------------------------------------------------------------------------------------
    def get_deleted_objects(self, objs, request):
        """The jobs to delete, as Django's confirmation page lists them. Django's own version would list a million
        metrics.

        Returns (lines, counts by type, jobs that the user may not delete, reasons why a job can't be deleted).
        """
        lines, protected, lacking = [], [], set()
        for job in objs:
            if not self.has_delete_permission(request, job):
                lacking.add(str(job))
            folder = "" if limited_user() else f" {job.directory}"
            lines.append(f"{job}: its folder{folder}{''.join(f', {part}' for part in self.goes_with(job))}")
            protected += [
                f"{shown_name(other)}, which depends on {job.name}; delete it first" for other in job.dependents()
            ]
        return lines, {self.opts.verbose_name_plural: len(lines)}, lacking, protected

    def goes_with(self, job: J) -> list[str]:
        """Descriptions of what is deleted with a job."""
        return []

    def delete_view(self, request, object_id, extra_context=None):
        """Delete without Django's transaction, because the worker of a running job must see the abort request."""
        return self._delete_view(request, object_id, extra_context)

    def delete_model(self, request, obj):
        self.attempt(request, services.delete, [obj], "Deleted")

    def delete_queryset(self, request, queryset):
        self.attempt(request, services.delete, queryset, "Deleted")

    def response_delete(self, request, obj_display, obj_id):
        """Go back to the list; attempt() has already shown the result."""
        exists = self.model.objects.filter(pk=obj_id).exists()
        return HttpResponseRedirect(self.address("change", obj_id) if exists else self.address("changelist"))
