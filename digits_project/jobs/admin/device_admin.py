"""The admin's pages for devices."""

from django.contrib import admin, messages
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.html import format_html

from digits_project.accounts.viewer import limited_user
from digits_project.jobs import services
from digits_project.jobs.models import Device
from digits_project.jobs.overview import HIDDEN_HOLDER, holders
from digits_project.jobs.scheduling import devices
from digits_project.jobs.templatetags.operators import admin_page


@admin.register(Device)
class DeviceAdmin(admin.ModelAdmin):
    """Devices, which workers register. An operator can switch one on or off, and take one away from its job."""

    list_display = ("__str__", "model_name", "state", "holder", "use", "memory_size")
    list_filter = ("host", "type", "enabled")
    actions = ("switch_off", "switch_on", "break_lease")
    fields = (
        "host", "type", "index", "model_name", "memory_size", "compute_capability", "usable_by", "enabled", "holder",
        "use",
    )  # fmt: skip

    def get_readonly_fields(self, request, obj=None):
        return [name for name in self.fields if name != "enabled"]

    def has_add_permission(self, request):
        return False  # train workers register devices

    def has_delete_permission(self, request, obj=None):
        return False  # the next worker would register it again

    def get_actions(self, request):
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def save_model(self, request, obj, form, change):
        if "enabled" in form.changed_data:
            services.switch_device(obj, obj.enabled)

    def log_change(self, request, obj, message):
        """Do nothing, because services write the audit log."""

    @admin.display(description="state", ordering="enabled")
    def state(self, device: Device):
        return render_to_string("jobs/device_state.html", {"device": device})

    @admin.display(description="engines")
    def usable_by(self, device: Device):
        """The engines that can use the device with their versions, and why the others can't, as its host reported."""
        return render_to_string("jobs/device_engines.html", {"device": device})

    @admin.display(description="held by")
    def holder(self, device: Device):
        if not device.leased_to:
            return "–"
        hidden = HIDDEN_HOLDER if limited_user() else device.leased_to
        job = holders([device]).get(device.leased_to)
        return format_html('<a href="{}">{}</a>', admin_page(job), job.name) if job else hidden

    @admin.display(description="use")
    def use(self, device: Device):
        """The use of a GPU of this host; the use of other hosts' GPUs is unknown."""
        use = devices.gpu_use(device)
        return f"{use.percent}%, {filesizeformat(use.memory_used)} of its memory" if use else "–"

    @admin.display(description="memory", ordering="memory")
    def memory_size(self, device: Device):
        return filesizeformat(device.memory) if device.memory else "–"

    @admin.action(
        description="Switch off: the running job continues, no new job gets the device", permissions=["change"]
    )
    def switch_off(self, request, queryset):
        self._switch(request, queryset, on=False)

    @admin.action(description="Switch on for new jobs", permissions=["change"])
    def switch_on(self, request, queryset):
        self._switch(request, queryset, on=True)

    def _switch(self, request, devices, on: bool) -> None:
        for device in devices:
            services.switch_device(device, on)
        names = ", ".join(map(str, devices))
        self.message_user(request, f"{'On' if on else 'Off for new jobs'}: {names}.", messages.SUCCESS)

    @admin.action(description="Take from the job that holds the device …", permissions=["change"])
    def break_lease(self, request, queryset):
        held = list(queryset.exclude(leased_to=""))
        if not held:
            self.message_user(request, "No job holds one of these devices.", messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            jobs = holders(held)
            context = self.admin_site.each_context(request) | {
                "title": "Take devices from their jobs",
                "opts": self.opts,
                "held": [(device, jobs.get(device.leased_to)) for device in held],
            }
            return render(request, "admin/jobs/device/break_lease.html", context)
        for device in held:
            services.break_lease(device)
        self.message_user(request, f"Free again: {', '.join(map(str, held))}.", messages.SUCCESS)
        return None
