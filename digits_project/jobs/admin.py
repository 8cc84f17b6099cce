"""The admin's pages for devices, and what the pages of both kinds of job share."""

from django.contrib import admin, messages
from django.urls import reverse
from django.utils.html import format_html

from digits_project.accounts import audit
from digits_project.jobs import services
from digits_project.jobs.dispatch import dispatch_or_leave
from digits_project.jobs.models import Device, Job, find_job

EDITABLE = ("name", "notes", "priority")


class JobAdmin(admin.ModelAdmin):
    """Shows a job whole and lets its name, notes and priority be changed; what runs is changed by actions only."""

    list_filter = ("status",)
    search_fields = ("job_id", "name", "owner")
    actions = ("abort",)

    def has_add_permission(self, request):
        return False  # jobs are created over REST

    def get_readonly_fields(self, request, obj=None):
        return [field.name for field in self.model._meta.fields if field.name not in EDITABLE]

    def save_model(self, request, obj, form, change):
        obj.save(update_fields=form.changed_data)  # a whole save would write a stale status back
        audit.record("edit", str(obj), ", ".join(form.changed_data))

    @admin.display(description="progress", ordering="progress")
    def progress_bar(self, job: Job):
        return format_html('<progress value="{}" max="1"></progress> {}%', job.progress, round(100 * job.progress))

    @admin.action(description="Abort selected jobs", permissions=["change"])
    def abort(self, request, queryset):
        for job in queryset:
            self._try(request, services.abort, job)

    def delete_model(self, request, obj):
        self._try(request, services.delete, obj)

    def delete_queryset(self, request, queryset):
        for job in queryset:
            self._try(request, services.delete, job)

    def _try(self, request, service, job: Job) -> None:
        try:
            service(job)
        except services.Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)


@admin.register(Device)
class DeviceAdmin(admin.ModelAdmin):
    list_display = ("__str__", "model_name", "enabled", "holder")
    list_editable = ("enabled",)
    readonly_fields = ("host", "type", "index", "model_name", "memory", "compute_capability", "holder")

    def has_add_permission(self, request):
        return False  # train workers register what they find

    def save_model(self, request, obj, form, change):
        obj.save(update_fields=form.changed_data)  # never the lease
        audit.record(
            "change device", str(obj), ", ".join(f"{name}: {getattr(obj, name)}" for name in form.changed_data)
        )
        dispatch_or_leave()

    @admin.display(description="held by")
    def holder(self, device: Device):
        job = find_job(device.leased_to) if device.leased_to else None
        if job is None:
            return "–"
        url = reverse(f"admin:{job._meta.app_label}_{job._meta.model_name}_change", args=[job.pk])
        return format_html('<a href="{}">{}</a>', url, job.name)
