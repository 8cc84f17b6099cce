"""Responses with the archive of a snapshot, or with its model.onnx."""

from collections.abc import Mapping
from typing import Any

from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse

from digits_project.api import error_statuses
from digits_project.common.errors import BadInput
from inference import services
from inference.api.asked_snapshots import chosen_snapshot
from inference.api.inference_responses import DOWNLOADS, OCTETS
from inference.api.serializers import DownloadForm
from inference.download import contents
from inference.download.archive_stream import BLOCK, FORMS
from models_app.models import Snapshot


def archive_response(request, job_id: str, form: str, posted: Mapping[str, Any]) -> HttpResponseBase:
    """The archive of a snapshot, sent while it is written, or its model.onnx. `posted`: the values of the posted form,
    empty for a GET; those of the query string come first."""
    if form not in DOWNLOADS:
        raise BadInput(f"There is no download of the type {form}; choose one of {', '.join(DOWNLOADS)}.")
    query = request.query_params
    asked = DownloadForm.valid_values(query)
    snapshot = chosen_snapshot(job_id, asked["epoch"] if "epoch" in query else posted.get("snapshot_epoch"))
    is_calibrated = asked["calibrated"] if "calibrated" in query else posted.get("calibrated")
    temperature = _temperature(snapshot) if is_calibrated else None
    name = f"{job_id}_epoch_{snapshot.epoch:g}.{form}"
    if form not in FORMS:
        opened = contents.onnx_file(snapshot, temperature)
        file = FileResponse(opened, content_type=OCTETS, as_attachment=True, filename=name)
        file.block_size = BLOCK
        return file
    return StreamingHttpResponse(
        contents.archive(snapshot, form, temperature),
        content_type=FORMS[form].media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _temperature(snapshot: Snapshot) -> float:
    try:
        return services.temperature_of(snapshot)
    except services.NotCalibrated as missing:
        raise error_statuses.Conflict(str(missing)) from missing
