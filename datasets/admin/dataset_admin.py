"""The admin's pages for datasets."""

from django.contrib import admin, messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.http import urlencode

from datasets import services, sources
from datasets.api.serializers import FORMS, form_values
from datasets.contents import gallery
from datasets.contents.gallery import category_of, version
from datasets.contents.summary import contents
from datasets.models import Dataset
from digits_project.accounts.viewer import without_paths
from digits_project.common.errors import DamagedFile
from digits_project.jobs import disk_usage
from digits_project.jobs.admin.job_admin import JobAdmin
from digits_project.jobs.models import Status

HEAVY = ("categories", "warnings", "status_history", "notes", "label_shape", "skipped_reasons")
FOR_A_DAY = "private, max-age=86400"


@admin.register(Dataset)
class DatasetAdmin(JobAdmin[Dataset]):
    list_display = ("name", "thumbnails", "state", "counts", "size", "owner", "created")
    list_filter = ("status", "kind", "method", "owner")
    exclude = (
        "splits",
        "categories",
        "warnings",
        "skipped_reasons",
        "parent",
        "revision",
    )  # the page's template shows them
    log_file = "build.log"
    change_form_template = "admin/datasets/dataset/change_form.html"

    forms = FORMS

    def get_queryset(self, request):
        rows = super().get_queryset(request)
        return rows.defer(*HEAVY) if request.resolver_match.url_name.endswith("_changelist") else rows

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    # --- creating --------------------------------------------------------------------------------------------------
    def create(self, owner, **fields):
        return [services.create_dataset(owner, **fields)]

    def kind_of(self, job):
        return job.kind

    def form_values(self, job):
        return form_values(job)

    def belongs(self, name):
        source = next((source for source in sources.SOURCES.values() if name in source.field_names), None)
        if source is None or len(sources.sources_of(source.kind)) == 1:
            return ""
        return f"method={source.name}"

    # --- the list --------------------------------------------------------------------------------------------------
    @admin.display(description="images")
    def thumbnails(self, dataset: Dataset):
        if dataset.status != Status.DONE:
            return "–"
        source = f"{self.address('strip', dataset.pk)}?{version(dataset)}"
        return format_html('<img class="d-strip" loading="lazy" src="{}" alt="" width="252" height="40">', source)

    @admin.display(description="train + val + test")
    def counts(self, dataset: Dataset):
        numbers = [f"{dataset.entries(split):,}" for split in ("train", "val", "test")]
        return format_html("<span>{}</span> + <span>{}</span> + <span>{}</span>", *numbers)

    @admin.display(description="size")
    def size(self, dataset: Dataset):
        return filesizeformat(disk_usage.size(dataset.directory))

    # --- the page --------------------------------------------------------------------------------------------------
    def get_urls(self):
        return [
            self.route("<str:job_id>/strip.png", self.strip_png, "strip", cacheable=True),
            self.route("<str:job_id>/mean.png", self.mean_png, "mean", cacheable=True),
            self.route("<str:job_id>/images/", self.images, "images"),
            self.route("<str:job_id>/images/<str:split>/<int:number>", self.image, "image", cacheable=True),
            *super().get_urls(),
        ]

    def page(self, request, job):
        return super().page(request, job) | contents(job) | {"bytes": disk_usage.size(job.directory)}

    def images(self, request, job_id):
        dataset = self.seen(request, job_id)
        splits = [split["name"] for split in dataset.splits]
        split = request.GET.get("split") or "train"
        category = whole_number(request.GET.get("category"))
        try:
            page = gallery.page(dataset, split, category, whole_number(request.GET.get("page")) or 1)
            named = gallery.labels(dataset, split) if dataset.categories else None
        except gallery.NoSuchImage as unknown:
            raise Http404(str(unknown)) from unknown
        except DamagedFile as damaged:
            self.message_user(request, str(damaged), messages.ERROR)
            return redirect(self.address("change", job_id))
        asked = {"split": split} | ({} if category is None else {"category": category})
        context = self.admin_site.each_context(request) | {
            "title": f"Images of {dataset.name}",
            "opts": self.opts,
            "job": dataset,
            "splits": splits,
            "split": split,
            "categories": list(enumerate(dataset.categories)),
            "category": category,
            "page": page,
            "shown": [(record, category_of(dataset, named, record)) for record in page.records],
            "version": version(dataset),
            "address": urlencode(asked),
        }
        return render(request, "admin/datasets/dataset/images.html", context)

    def image(self, request, job_id, split, number):
        return self._picture(gallery.image, self.seen(request, job_id), split, number)

    def strip_png(self, request, job_id):
        return self._picture(lambda dataset: (gallery.strip(dataset), "image/png"), self.seen(request, job_id))

    def mean_png(self, request, job_id):
        try:
            file = (self.seen(request, job_id).directory / "mean.png").open("rb")
        except OSError as none:
            raise Http404("There is no mean image yet.") from none
        return FileResponse(file, content_type="image/png", headers={"Cache-Control": FOR_A_DAY})

    def _picture(self, draw, *what) -> HttpResponse:
        try:
            content, media_type = draw(*what)
        except gallery.NoSuchImage as unknown:
            raise Http404(str(unknown)) from unknown
        except DamagedFile as damaged:
            return HttpResponse(str(damaged), status=409, content_type="text/plain; charset=utf-8")
        return HttpResponse(content, content_type=media_type, headers={"Cache-Control": FOR_A_DAY})

    def without_paths(self, job):
        job.warnings = without_paths(job.warnings)
        return super().without_paths(job)

    def goes_with(self, job):
        return [filesizeformat(disk_usage.size(job.directory))]


def whole_number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
