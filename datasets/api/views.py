"""The viewsets of datasets."""

from drf_spectacular.utils import extend_schema

from datasets import services
from datasets.api.dataset_responses import DatasetFacts
from datasets.api.serializers import ClassificationDatasetForm, GenericDatasetForm, dataset_json
from datasets.models import Dataset
from digits_project.api.browsable import PageResponse
from digits_project.jobs.api.views import CreateViewSet, JobViewSet, fetch


class DatasetViewSet(JobViewSet):
    """A dataset: its contents and its progress."""

    job_class = Dataset

    @extend_schema(responses={200: DatasetFacts})
    def retrieve(self, request, job_id, format=None):
        return PageResponse(dataset_json(fetch(Dataset, job_id)), "datasets/dataset.html")


class CreateDatasetViewSet(CreateViewSet[Dataset]):
    """One dataset."""

    def make_jobs(self, owner, **fields):
        return [services.create_dataset(owner, **fields)]


class ClassificationDatasetViewSet(CreateDatasetViewSet):
    """Build a dataset for classification.

    The images lie in a folder that holds one subfolder for each category (method=folder), or text files list them
    (method=textfile).
    """

    serializer_class = ClassificationDatasetForm


class GenericDatasetViewSet(CreateDatasetViewSet):
    """Take databases that were built elsewhere: LMDB of Caffe Datum or RecordIO, with labels of any shape."""

    serializer_class = GenericDatasetForm
