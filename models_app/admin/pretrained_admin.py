"""The admin's pages of pretrained models."""

from django.contrib import admin

from digits_project.jobs.admin.job_admin import JobAdmin
from models_app.api.pretrained_forms import PretrainedForm
from models_app.pretrained import importing
from models_app.pretrained.pretrained_model import PretrainedModel


@admin.register(PretrainedModel)
class PretrainedAdmin(JobAdmin[PretrainedModel]):
    """Lists pretrained models, and makes one from an uploaded file of weights."""

    forms = {"weights": PretrainedForm}
    list_display = ("name", "network_name", "categories", "source", "owner", "created")
    list_filter = ("standard_network", "owner")
    actions = ()
    exclude = ("network",)  # the layers, as JSON

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    def create(self, owner, **fields):
        return [importing.from_file(owner, **fields)]

    def kind_of(self, job):
        return "weights"

    def form_values(self, job):
        return {"job_name": job.name, "standard_networks": job.standard_network}

    @admin.display(description="network", ordering="standard_network")
    def network_name(self, job):
        return job.network_name
