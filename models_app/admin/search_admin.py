"""The admin's pages of searches."""

from django.contrib import admin

from digits_project.jobs.admin.job_admin import JobAdmin
from models_app.api.search_views import search_json
from models_app.pages.comparison import MAX_COMPARED
from models_app.search.search_job import Search


@admin.register(Search)
class SearchAdmin(JobAdmin[Search]):
    """Lists searches, and shows the leaderboard of one. The form of a model creates them."""

    list_display = ("name", "state", "trials", "owner", "created")
    list_filter = ("status", "owner")
    actions = ("abort", "resume", "change_priority")
    exclude = ("fields", "space", "devices", "next_trial")
    change_form_template = "admin/models_app/search/change_form.html"

    def get_readonly_fields(self, request, obj=None):
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    def page(self, request, job):
        data = search_json(job)
        best = [trial["model_id"] for trial in data["leaderboard"] if trial["rank"]][:MAX_COMPARED]
        return super().page(request, job) | {"data": data, "compared": ",".join(best) if len(best) > 1 else ""}

    @admin.display(description="trials")
    def trials(self, search):
        return search.next_trial - 1
