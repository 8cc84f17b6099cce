"""The fragments of a model's page, which follow its training."""

from django.http import HttpResponseRedirect, JsonResponse

from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import without_paths
from digits_project.api.browsable import PageResponse
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.viewsets import PageView
from digits_project.jobs.api.views import fetch
from digits_project.jobs.log_files import tail
from models_app import services
from models_app.api.resources.model_resources import own_model
from models_app.api.resources.snapshot_resources import KeepForm, snapshot_named
from models_app.models import TrainedModel
from models_app.pages.curves import curves
from models_app.pages.model_page import LOG_BYTES, live_part


class Live(PageView):
    """The numbers, the snapshots and what else changes while a model trains."""

    role = Role.USER

    def get(self, request, job_id):
        return PageResponse({}, "models_app/model_live.html", **live_part(fetch(TrainedModel, job_id), request))


class StopTraining(PageView):
    """End a training early, and return to its page."""

    role = Role.USER

    def get_view_name(self):
        return "Stop early"

    def post(self, request, job_id):
        model = own_model(request, job_id)
        services.stop_early(model)
        return HttpResponseRedirect(model.get_absolute_url())


class KeepSnapshot(PageView):
    """Mark a snapshot to be kept, or remove the mark, and return to the model's page."""

    role = Role.USER

    def get_view_name(self):
        return "Keep a snapshot"

    def post(self, request, job_id):
        model = own_model(request, job_id)
        snapshot = snapshot_named(model, str(request.data.get("snapshot_epoch", "")))
        services.keep_snapshot(snapshot, KeepForm.valid_values(request.data)["keep"])
        return HttpResponseRedirect(model.get_absolute_url())


class Curves(PageView):
    """The points of the charts, and the best epoch."""

    renderer_classes = (PrettyJSONRenderer,)
    role = Role.USER

    def get(self, request, job_id):
        model = fetch(TrainedModel, job_id)
        best = model.best_snapshot
        found = {"curves": curves(model), "best": best and best.epoch, "status": model.status, "ended": model.has_ended}
        return JsonResponse(found)


class LogTail(PageView):
    """The end of a training's log."""

    role = Role.USER

    def get(self, request, job_id):
        model = fetch(TrainedModel, job_id)
        text = without_paths(tail(model.directory / "train.log", LOG_BYTES)) or "Nothing is logged yet."
        return PageResponse({}, "models_app/log.html", log=text)
