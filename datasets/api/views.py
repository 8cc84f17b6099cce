"""The viewsets of datasets."""

from drf_spectacular.utils import extend_schema

from datasets import services
from datasets.api.dataset_resources import DatasetDetails
from datasets.api.dataset_responses import DatasetFacts
from datasets.api.serializers import FORMS, ClassificationDatasetForm, GenericDatasetForm, dataset_json, form_values
from datasets.contents.summary import page_variables
from datasets.models import Dataset
from digits_project.api.browsable import PageResponse
from digits_project.jobs.api.job_resources import DetailsForm, details_of, wants_details
from digits_project.jobs.api.views import CreateViewSet, JobViewSet, fetch


class DatasetViewSet(JobViewSet):
    """A dataset: its contents and its progress."""

    job_class = Dataset

    @extend_schema(responses={200: DatasetFacts}, parameters=[DetailsForm])
    def retrieve(self, request, job_id, format=None):
        dataset = fetch(Dataset, job_id)
        details = {"details": details_of(DatasetDetails, dataset)} if wants_details(request) else {}
        variables = {} if request.accepted_renderer.format == "json" else page_variables(dataset)
        return PageResponse(dataset_json(dataset) | details, "datasets/dataset.html", **variables)


class CreateDatasetViewSet(CreateViewSet[Dataset]):
    """One dataset."""

    button = "Build the dataset"

    cloned_class = Dataset

    def fields_of(self, job):
        return form_values(job) if self.serializer_class is FORMS[job.kind] else None

    def make_jobs(self, owner, **fields):
        return [services.create_dataset(owner, **fields)]


class ClassificationDatasetViewSet(CreateDatasetViewSet):
    """Build a dataset for classification.

    The images lie in a folder that holds one subfolder for each category (method=folder), or text files list them
    (method=textfile).
    """

    serializer_class = ClassificationDatasetForm
    page_template = "datasets/new_dataset.html"


class GenericDatasetViewSet(CreateDatasetViewSet):
    """Take databases that were built elsewhere: LMDB of Caffe Datum or RecordIO, with labels of any shape."""

    serializer_class = GenericDatasetForm
