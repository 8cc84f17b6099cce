"""The JSON that jobs of all kinds have in common, and serializers of the responses for the schema."""

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response

from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.api import wire_format
from digits_project.api.renderers import wants_json
from digits_project.jobs.models import Job, Status
from digits_project.jobs.sharing import shared_names

TEXT_TYPE = "text/plain; charset=utf-8"
MOVED = {302: OpenApiResponse(description="`Location` is the address of the page.")}


def describe_job(job: Job, **more) -> dict:
    """`{id, name, directory, status, …more}`, with `progress` and `error` if there are any, and on a private server
    `shared_with`."""
    directory = "" if limited_user() else str(job.directory)
    facts = {"id": job.pk, "name": job.name, "directory": directory, "status": job.status, **without_paths(more)}
    if job.status in (Status.WAITING, Status.RUNNING):
        facts["progress"] = round(job.progress, 4)
    if job.error:
        facts["error"] = without_paths(job.error)
    if settings.DIGITS_PRIVATE:
        facts["shared_with"] = shared_names(job)
    return facts


def created(job: Job, **more) -> dict:
    """The response to a create. It has both `id` and `job_id`, because DIGITS's documentation has one and its code
    the other."""
    return {"job_id": job.pk, "id": job.pk, "name": job.name, "status": job.status, **more}


def acted(request, message: str, **facts) -> HttpResponseBase:
    """The response to an action on jobs: DIGITS's text. A client that wants JSON gets `{message, …facts}` in the
    documented wire format; clients of DIGITS expect the text with `.json` too."""
    if wants_json(request) and not wire_format.is_of_digits():
        return Response({"message": message, **facts})
    return HttpResponse(message, content_type=TEXT_TYPE)


class ActionFacts(serializers.Serializer):
    """What an action did to a job."""

    message = serializers.CharField(help_text="What was done, in DIGITS's words, such as `Job aborted.`")
    id = serializers.CharField()
    status = serializers.ChoiceField(Status.choices, required=False, help_text="Absent if the job was deleted.")


class Created(serializers.Serializer):
    """A job that was created."""

    job_id = serializers.CharField()
    id = serializers.CharField(help_text="The same as `job_id`.")
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)


class JobFacts(serializers.Serializer):
    """A job."""

    id = serializers.CharField()
    name = serializers.CharField()
    directory = serializers.CharField(
        help_text="The job's folder on the server; empty on a private server for users who are not operators."
    )
    status = serializers.ChoiceField(Status.choices)
    progress = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="Absent once the job has ended."
    )
    error = serializers.CharField(required=False, help_text="Why the job failed, or another remark on how it ended.")
    shared_with = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Groups that can see the job on a private server."
    )


TEXT = {(200, "text/plain"): OpenApiTypes.STR}
ACTED = {(200, "application/json"): ActionFacts, **TEXT}  # the text with DIGITS_WIRE_FORMAT=digits


class Progress(serializers.Serializer):
    """The status of a job, for clients that poll. For a job that does not exist it has only `error`, with the status
    200."""

    error = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(Status.choices, required=False)
    name = serializers.CharField(required=False)
    type = serializers.CharField(required=False, help_text="The kind of job, such as `Image Classification Dataset`.")
    progress = serializers.FloatField(required=False, min_value=0, max_value=1)


class ListedDataset(serializers.Serializer):
    """A dataset in the index."""

    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)


class ListedModel(ListedDataset):
    """A model in the index."""

    dataset_id = serializers.CharField()


@extend_schema_serializer(many=False)  # an object, although the action is called `list`
class Listed(serializers.Serializer):
    """All jobs: running jobs first, then the newest first."""

    version = serializers.CharField(required=False, help_text="Of the server; only with DIGITS_WIRE_FORMAT=digits.")
    jobs_dir = serializers.CharField(
        required=False,
        help_text="The folder of the jobs' folders, as `directory` names them; only with DIGITS_WIRE_FORMAT=digits.",
    )
    datasets = ListedDataset(many=True)
    models = ListedModel(many=True)
