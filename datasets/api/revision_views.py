"""The revisions of a dataset: their list, the request to make one, and what two of them differ in."""

from drf_spectacular.utils import extend_schema
from rest_framework.serializers import CharField

from datasets import revisions
from datasets.api.revision_form import RevisionForm
from datasets.api.revision_responses import (
    CreatedRevision,
    DatasetRevisions,
    RevisionDifference,
    created_revision_json,
    revisions_json,
)
from datasets.contents.revision_sections import difference_variables, list_variables
from datasets.models import Dataset
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.viewsets import FormViewSet
from digits_project.jobs.api.views import CreateViewSet, fetch


class DifferenceForm(Form):
    """The query string of GET /datasets/<id>/diff."""

    HAS_FIXED_FIELDS = True

    before = CharField(
        default="", max_length=100, help_text="The id of the dataset before; empty: the one that this one revises."
    )


class RevisionViewSet(CreateViewSet[Dataset]):
    """Datasets made of another one's records: without some images, and with other categories of some."""

    serializer_class = RevisionForm
    button = "Make the revision"

    @extend_schema(responses={200: DatasetRevisions})
    def retrieve(self, request, job_id, format=None):
        """The revisions of a dataset."""
        dataset = fetch(Dataset, job_id)
        return PageResponse(revisions_json(dataset), "datasets/revisions.html", **list_variables(dataset))

    @extend_schema(responses={200: CreatedRevision, **errors(409, 429, 507)})
    def create(self, request, format=None, **names):
        """Make a new dataset of a dataset's records, without some images and with other categories of some.

        Images keep their split, and the categories stay the same. The dataset itself and the images' files are not
        changed."""
        self.dataset = fetch(Dataset, names["job_id"])
        return super().create(request, format)

    def make_jobs(self, owner, **fields):
        try:
            return [revisions.revise(self.dataset, owner, **fields)]
        except revisions.CanNotRevise as unable:
            raise Conflict(str(unable)) from unable

    def describe(self, job):
        return created_revision_json(job)


class DifferenceViewSet(FormViewSet):
    """What a dataset differs in from another revision of the same images."""

    role = Role.VIEWER

    @extend_schema(responses={200: RevisionDifference, **errors(409)}, parameters=[DifferenceForm])
    def retrieve(self, request, job_id, format=None):
        """What a dataset differs in from another revision: images left out, added, and with other categories.

        By default the other one is the dataset that this one revises, even if that was deleted."""
        dataset = fetch(Dataset, job_id)
        before = DifferenceForm.valid_values(request.query_params)["before"]
        other = fetch(Dataset, before) if before else None
        try:
            found = revisions.difference(dataset, other)
        except revisions.CanNotRevise as unable:
            raise Conflict(str(unable)) from unable
        if request.accepted_renderer.format == "json":
            return PageResponse(found)
        seen = other or revisions.seen_parent(dataset)
        variables = difference_variables(dataset, found, seen)
        return PageResponse(found, "datasets/difference.html", **variables)
