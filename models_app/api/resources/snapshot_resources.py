"""The snapshots of a model as resources of /api/v1: mark one to be kept, or delete it."""

import math

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from digits_project.accounts.roles import Role
from digits_project.api.forms import Flag, Form
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.viewsets import FormViewSet
from digits_project.jobs.api.job_responses import ACTED, acted
from digits_project.jobs.api.views import fetch
from models_app import services
from models_app.api.resources.model_resources import SnapshotFacts, own_model, snapshot_json
from models_app.models import Snapshot, TrainedModel
from models_app.results import is_epoch, which_snapshot

EPOCH = OpenApiParameter("epoch", str, OpenApiParameter.PATH, description="An epoch, `best` or `latest`.")


class KeepForm(Form):
    """Whether a snapshot is kept."""

    keep = Flag(help_text="Whether the snapshot is never deleted automatically.")


class SnapshotViewSet(FormViewSet):
    """A snapshot of a model."""

    role = Role.USER
    serializer_class = KeepForm
    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(parameters=[EPOCH], responses={200: SnapshotFacts, **errors(404)})
    def retrieve(self, request, job_id, epoch):
        """A snapshot of a model."""
        return Response(snapshot_json(snapshot_named(fetch(TrainedModel, job_id), epoch)))

    @extend_schema(parameters=[EPOCH], responses={200: SnapshotFacts, **errors(404)})
    def update(self, request, job_id, epoch):
        """Mark a snapshot to be kept, or remove the mark with `keep=no`."""
        snapshot = self._own(job_id, epoch)
        services.keep_snapshot(snapshot, self.valid_form(request.data).validated_data["keep"])
        return Response(snapshot_json(snapshot_named(snapshot.trained_model, epoch)))

    @extend_schema(parameters=[EPOCH], responses={**ACTED, **errors(404)})
    def destroy(self, request, job_id, epoch):
        """Delete a snapshot that is not marked to be kept, and that no job needs."""
        snapshot = self._own(job_id, epoch)
        services.delete_snapshot(snapshot)
        model = snapshot.trained_model
        return acted(request, "Snapshot deleted.", id=model.pk, status=model.status)

    def _own(self, job_id: str, epoch: str) -> Snapshot:
        """A snapshot of a model that the user may change. Raises NotFound or PermissionDenied."""
        return snapshot_named(own_model(self.request, job_id), epoch)


def snapshot_named(model: TrainedModel, epoch: str) -> Snapshot:
    """The snapshot of an epoch. Raises NotFound."""
    try:
        which = which_snapshot(epoch)
    except ValueError:
        which = math.nan
    if is_epoch(which) and not math.isfinite(which):
        raise NotFound("A snapshot is an epoch, best or latest.")
    snapshot = model.snapshot_at(which)
    if snapshot is None:
        raise NotFound(model.no_snapshot_at(which))
    return snapshot
