"""The dataset routes."""

from rest_framework.response import Response

from datasets import services
from datasets.api.dataset_responses import DatasetFacts
from datasets.api.serializers import ClassificationDatasetForm, GenericDatasetForm, dataset_json
from datasets.models import Dataset
from digits_project.jobs.api.views import CreateView, EditView, fetch


class DatasetDetail(EditView):
    """A dataset: what it holds and how far it is."""

    kind = Dataset
    page = "datasets/dataset.html"
    answers = EditView.answers | {"get": DatasetFacts}

    def get(self, request, job_id, format=None):
        return Response(dataset_json(fetch(Dataset, job_id)))


class CreateClassificationDataset(CreateView):
    """Build a dataset for classification.

    The images lie in a folder that holds one subfolder for each category (method=folder), or text files list them
    (method=textfile).
    """

    name = "New Image Classification Dataset"
    serializer_class = ClassificationDatasetForm
    create = staticmethod(services.create_dataset)


class CreateGenericDataset(CreateView):
    """Take databases that were built elsewhere: LMDB of Caffe Datum or RecordIO, with labels of any shape."""

    name = "New Image Dataset"
    serializer_class = GenericDatasetForm
    create = staticmethod(services.create_dataset)
