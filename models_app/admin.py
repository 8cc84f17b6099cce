from django.contrib import admin

from digits_project.jobs.admin import JobAdmin
from models_app.models import TrainedModel
from models_app.results import Evaluation, Snapshot


class SnapshotInline(admin.TabularInline):
    """The snapshots of a model, the newest first; they come and go with its training only."""

    model = Snapshot
    ordering = ("-epoch",)
    fields = readonly_fields = ("epoch", "folder", "max_difference", "created_at")
    extra = 0
    can_delete = False

    def has_add_permission(self, request, obj=None):
        return False


@admin.register(TrainedModel)
class TrainedModelAdmin(JobAdmin):
    list_display = ("name", "job_id", "status", "progress_bar", "method", "dataset", "owner", "created_at")
    list_select_related = ("dataset",)
    list_filter = ("status", "kind", "method")
    exclude = ("previous_network",)  # pages of JSON
    inlines = (SnapshotInline,)

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]


@admin.register(Evaluation)
class EvaluationAdmin(JobAdmin):
    list_display = ("name", "status", "progress_bar", "accuracy", "loss", "trained_model", "owner", "created_at")
    list_select_related = ("trained_model",)
    list_filter = ("status", "split")
    exclude = ("confusion_matrix",)

    def get_queryset(self, request):
        return super().get_queryset(request).defer("confusion_matrix")

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]
