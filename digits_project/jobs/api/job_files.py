"""The files of a job's folder, at DIGITS's addresses."""

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.viewsets import ViewSet

from digits_project.accounts.viewer import limited_user
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.confined_files import Outside, open_raw, shown
from digits_project.jobs.api.views import fetch

MAX_PATH = 1024  # characters
BLOCK = 1 << 18  # bytes that are sent at once
TEXT, OCTETS = "text/plain; charset=utf-8", "application/octet-stream"
# Only types that no browser runs; any other file is a download.
TYPES = {".png": "image/png", ".txt": TEXT, ".log": TEXT, ".json": "application/json", ".prototxt": TEXT}
# Files that hold no path of the server, which limited users must not see (DIGITS_PRIVATE).
WITHOUT_PATHS = (".png", ".npy", ".npz", ".onnx", ".rec", ".idx", "labels.txt")
RUNS_NOTHING = "default-src 'none'; sandbox"
PATH = OpenApiParameter("path", str, OpenApiParameter.PATH, description="A path in the job's folder: `mean.png`.")


class JobFilesViewSet(ViewSet):
    """The files of a job's folder, such as `mean.png` of a dataset or `train.log` of a model."""

    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(
        responses={
            (200, OCTETS): OpenApiTypes.BINARY,
            **{(200, media_type.partition(";")[0]): OpenApiTypes.BINARY for media_type in TYPES.values()},
            **errors(404),
        },
        parameters=[PATH],
    )
    def retrieve(self, request, job_id, path):
        """A file of a job's folder, such as `mean.png`. Links that lead out of the folder, and folders, are not
        found."""
        job = fetch(None, job_id)
        missing = f"There is no file {shown(path)} in the folder of {job.pk}."
        if not _is_plain(path):
            raise NotFound(missing)
        if limited_user() and not path.endswith(WITHOUT_PATHS):
            raise PermissionDenied(f"{shown(path)} can contain paths of the server, which only operators may see.")
        try:
            file = open_raw(job.directory / path, [job.directory])
        except (OSError, Outside) as unreadable:
            raise NotFound(missing) from unreadable
        media_type = TYPES.get(path[path.rfind(".") :], OCTETS)
        named = {"as_attachment": media_type == OCTETS, "filename": path.rpartition("/")[2]}
        response = FileResponse(file, content_type=media_type, **named)
        response.block_size = BLOCK
        response.headers["Content-Security-Policy"] = RUNS_NOTHING
        return response


def _is_plain(path: str) -> bool:
    """Whether a path consists of names only: no empty part, no `.` or `..`, no control characters."""
    return len(path) <= MAX_PATH and path.isprintable() and not {"", ".", ".."} & set(path.split("/"))
