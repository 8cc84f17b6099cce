"""Responses with the archive of a snapshot, or with its model.onnx."""

from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse

from digits_project.common.errors import BadInput
from inference.api.asked_snapshots import chosen_snapshot
from inference.api.inference_responses import DOWNLOADS, OCTETS
from inference.api.serializers import DownloadForm
from inference.download import contents
from inference.download.archive_stream import BLOCK, FORMS
from models_app.results import Which


def archive_response(request, job_id: str, form: str, posted: Which) -> HttpResponseBase:
    """The archive of a snapshot, sent while it is written, or its model.onnx. `posted`: the snapshot, if the query
    string names none."""
    if form not in DOWNLOADS:
        raise BadInput(f"There is no download of the type {form}; choose one of {', '.join(DOWNLOADS)}.")
    asked = DownloadForm.valid_values(request.query_params)
    snapshot = chosen_snapshot(job_id, posted if "epoch" not in request.query_params else asked["epoch"])
    name = f"{job_id}_epoch_{snapshot.epoch:g}.{form}"
    if form not in FORMS:
        file = FileResponse(contents.onnx_file(snapshot), content_type=OCTETS, as_attachment=True, filename=name)
        file.block_size = BLOCK
        return file
    return StreamingHttpResponse(
        contents.archive(snapshot, form),
        content_type=FORMS[form].media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
