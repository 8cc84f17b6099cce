"""The admin's pages for models."""

from django.contrib import admin, messages
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from datasets.imagedb.images.formats import ACCEPTED
from datasets.models import Dataset
from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.common.errors import BadInput
from digits_project.jobs import disk_usage, overview
from digits_project.jobs.admin.job_admin import JobAdmin
from digits_project.jobs.models import Device
from digits_project.jobs.overview import time_left
from digits_project.jobs.templatetags.operators import admin_page
from digits_project.jobs.visibility import is_visible, visible
from models_app import network_texts, services
from models_app.admin.evaluation_admin import Evaluates, EvaluationAdmin
from models_app.admin.model_create_page import CreatesModels
from models_app.api.resources.sparklines import sparklines
from models_app.models import TrainedModel
from models_app.networks.drawing import svg
from models_app.pages import comparison, curves
from models_app.pages.comparison import MAX_COMPARED
from models_app.results import Snapshot, metrics_csv

__all__ = ["EvaluationAdmin", "TrainedModelAdmin"]

MAX_SNAPSHOTS = 200  # on a page
RUNS_NOTHING = "default-src 'none'; style-src 'unsafe-inline'"
ASKED_TO_STOP = "Ends after the current step"
OF_START = ("taken_over", "afresh", "warnings")
OF_RECIPE = ("recipe_used", "recipe_reason", "filled_in")
HEAVY = ("custom_network", "previous_network", *OF_START, "status_history", "notes", "dataset__status_history")
HEAVY_OF_DATASET = ("dataset__categories", "dataset__splits", "dataset__warnings", "dataset__notes", "dataset__error")


@admin.register(TrainedModel)
class TrainedModelAdmin(CreatesModels, Evaluates, JobAdmin[TrainedModel]):
    list_display = ("name", "state", "accuracy", "network_name", "of_dataset", "owner", "created")
    list_filter = ("status", "kind", "method", "owner")
    search_fields = (*JobAdmin.search_fields, "dataset__name")
    actions = (*JobAdmin.actions, "stop_early", "compare", "export_metrics")
    exclude = ("previous_network", *OF_START, *OF_RECIPE)  # long JSON, and fields with a panel of their own
    log_file = "train.log"
    change_form_template = "admin/models_app/trainedmodel/change_form.html"

    def get_queryset(self, request):
        rows = super().get_queryset(request).select_related("dataset")
        listed = request.resolver_match.url_name.endswith("_changelist")
        return rows.defer(*HEAVY, *HEAVY_OF_DATASET) if listed else rows

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    # --- the list --------------------------------------------------------------------------------------------------
    def decorate(self, jobs):
        sparks = sparklines(jobs)
        leased = Device.objects.filter(leased_to__in=[job.pk for job in jobs])
        held: dict[str, list[str]] = {}
        for device in leased:
            held.setdefault(device.leased_to, []).append(str(device))
        hidden = self.hidden_datasets(jobs)
        for job in jobs:
            job.hides_dataset = job.dataset_id in hidden
            job.sparks, job.held = sparks.get(job.pk, []), ", ".join(held.get(job.pk, []))

    def hidden_datasets(self, models: list[TrainedModel]) -> set[str]:
        """The ids of these models' datasets that the user may not see."""
        if limited_user() is None:
            return set()
        used = {model.dataset_id for model in models}
        return used - set(visible(Dataset).filter(pk__in=used).values_list("pk", flat=True))

    @admin.display(description="accuracy")
    def accuracy(self, model):
        if not model.sparks:
            return "–"
        return render_to_string("models_app/sparkline.html", sparkline(model.sparks))

    def about_run(self, model):
        return [line for line in (time_left(model), model.held and f"on {model.held}") if line]

    @admin.display(description="dataset", ordering="dataset__name")
    def of_dataset(self, model):
        if model.hides_dataset:
            return "–"
        return format_html('<a href="{}">{}</a>', admin_page(model.dataset), model.dataset.name)

    @admin.display(description="network", ordering="standard_network")
    def network_name(self, model):
        return model.network_name

    # --- the page --------------------------------------------------------------------------------------------------
    def get_urls(self):
        return [
            self.route("compare/", self.compare_page, "compare"),
            self.route("<str:job_id>/curves.json", self.curves_json, "curves"),
            self.route("<str:job_id>/network.svg", self.network_svg, "network", cacheable=True),
            self.route("<str:job_id>/metrics.csv", self.metrics_csv, "metrics"),
            self.route("<str:job_id>/stop/", require_POST(self.stop_one), "stop"),
            self.route("<str:job_id>/evaluate/", require_POST(self.evaluate), "evaluate"),
            self.route(
                "<str:job_id>/snapshots/<int:number>/delete/", require_POST(self.delete_snapshot), "snapshot_delete"
            ),
            self.route("<str:job_id>/snapshots/<int:number>/keep/", require_POST(self.keep_snapshot), "snapshot_keep"),
            *super().get_urls(),
        ]

    def page(self, request, job):
        newest = sorted(job.ranked_snapshots()[:MAX_SNAPSHOTS], key=lambda snapshot: -snapshot.epoch)
        for snapshot in newest:
            snapshot.trained_model = job
            snapshot.bytes = disk_usage.size(snapshot.directory)
        return super().page(request, job) | {
            "time_left": time_left(job),
            "waiting_reason": without_paths(overview.waiting_reason(job)),
            "snapshots": newest,
            "best": job.best_snapshot,
            "newest": job.newest_snapshot,
            "default": job.snapshot_at(),
            "dataset": job.dataset if is_visible(job.dataset) else None,
            "starts_from": network_texts.starts_from(job),
            "question": job.declared_kind.question,
            "accepted": ACCEPTED,
            "held": ", ".join(map(str, Device.objects.filter(leased_to=job.pk))),
            **self.evaluation_of(job, request.GET),
        }

    def curves_json(self, request, job_id):
        model = self.seen(request, job_id)
        return JsonResponse({"curves": curves.curves(model), "status": model.status, "ended": model.has_ended})

    def network_svg(self, request, job_id):
        try:
            drawn = svg.svg(self.seen(request, job_id).network())
        except BadInput as wrong:
            return HttpResponse(str(wrong), status=409, content_type="text/plain; charset=utf-8")
        headers = {"Content-Security-Policy": RUNS_NOTHING, "Cache-Control": "private, max-age=60"}
        return HttpResponse(drawn, content_type="image/svg+xml", headers=headers)

    def delete_snapshot(self, request, job_id, number):
        snapshot = get_object_or_404(Snapshot, pk=number, trained_model=self.changed(request, job_id))
        try:
            services.delete_snapshot(snapshot)
        except services.Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, f"The snapshot of epoch {snapshot.epoch:g} was deleted.", messages.SUCCESS)
        return redirect(self.address("change", job_id))

    def keep_snapshot(self, request, job_id, number):
        snapshot = get_object_or_404(Snapshot, pk=number, trained_model=self.changed(request, job_id))
        services.keep_snapshot(snapshot, request.POST.get("keep") == "yes")
        return redirect(f"{self.address('change', job_id)}#snapshots")

    def goes_with(self, job):
        parts = ("snapshots", "metrics", "evaluations")
        counts = {part: getattr(job, part).count() for part in parts}
        return [f"{count:,} {what}" for what, count in counts.items()]

    def stop_one(self, request, job_id):
        self.attempt(request, services.stop_early, [self.changed(request, job_id)], ASKED_TO_STOP)
        return redirect(self.address("change", job_id))

    # --- several at once -------------------------------------------------------------------------------------------
    @admin.action(description="Stop selected trainings early and keep the best", permissions=["change"])
    def stop_early(self, request, queryset):
        self.attempt(request, services.stop_early, queryset, ASKED_TO_STOP)

    @admin.action(description="Compare selected models", permissions=["view"])
    def compare(self, request, queryset):
        chosen = list(queryset.values_list("pk", flat=True)[: MAX_COMPARED + 1])
        if not 2 <= len(chosen) <= MAX_COMPARED:
            self.message_user(request, f"Choose from 2 to {MAX_COMPARED} models to compare.", messages.WARNING)
            return None
        return redirect(f"{self.address('compare')}?ids={','.join(chosen)}")

    def compare_page(self, request):
        chosen = [self.seen(request, job_id) for job_id in request.GET.get("ids", "").split(",")[:MAX_COMPARED]]
        context = self.admin_site.each_context(request) | {
            "title": "Compare models",
            "opts": self.opts,
            "models": [(model, self.address("curves", model.pk)) for model in chosen],
            "differences": [row for row in comparison.differences(chosen) if row[0] not in self.hidden_settings()],
        }
        return render(request, "admin/models_app/trainedmodel/compare.html", context)

    def hidden_settings(self) -> set[str]:
        """The settings that a comparison leaves out: server paths, and names of jobs that the user may not see."""
        return {*self.model.PATHS, "dataset", "previous"} if limited_user() else set()

    @admin.action(description="Export the metrics of selected models (CSV)", permissions=["view"])
    def export_metrics(self, request, queryset):
        return _csv(list(queryset), "metrics")

    def metrics_csv(self, request, job_id):
        return _csv([self.seen(request, job_id)], job_id)


def _csv(models: list[TrainedModel], name: str) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingHttpResponse(metrics_csv(models), content_type="text/csv; charset=utf-8", headers=headers)


def sparkline(values: list[float]) -> dict:
    """Template context of a sparkline: points in a box of 100×20, and the last value."""
    last = max(1, len(values) - 1)
    low, high = min(values), max(values)
    span = (high - low) or 1
    points = [f"{100 * i / last:.1f},{19 - 18 * (value - low) / span:.1f}" for i, value in enumerate(values)]
    return {"points": " ".join(points), "last": format_html("{}%", f"{100 * values[-1]:.1f}")}
