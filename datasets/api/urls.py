from django.urls import path
from django.views.generic import RedirectView

from datasets.api.dataset_resources import DatasetResourceViewSet
from datasets.api.digits_views import DigitsDatasetViewSet, ResizeExampleForm
from datasets.api.map_views import MapViewSet
from datasets.api.report_views import ReportViewSet
from datasets.api.revision_views import DifferenceViewSet, RevisionViewSet
from datasets.api.views import ClassificationDatasetViewSet, DatasetViewSet, GenericDatasetViewSet
from digits_project.api.browsable import BrowsablePage
from digits_project.api.renderers import CompactJSONRenderer
from digits_project.api.routes import action_routes, action_view
from digits_project.jobs.api.urls import job_routes, resource_routes

CREATE = {"get": "defaults", "post": "create"}

urlpatterns = [
    *action_routes(
        "datasets/images/classification",
        ClassificationDatasetViewSet,
        CREATE,
        "create-dataset",
        name="New Image Classification Dataset",
    ),
    *action_routes(
        "datasets/images/generic", GenericDatasetViewSet, CREATE, "create-generic-dataset", name="New Image Dataset"
    ),
    # The URLs of DIGITS's forms and of its list.
    path("datasets/images/classification/new", RedirectView.as_view(query_string=True, pattern_name="create-dataset")),
    path("datasets/images/generic/new", RedirectView.as_view(query_string=True, pattern_name="create-generic-dataset")),
    *action_routes("datasets/summary", DigitsDatasetViewSet, {"get": "summary"}, "dataset-summary"),
    *action_routes(
        "datasets/images/classification/explore", DigitsDatasetViewSet, {"get": "explore"}, "explore-dataset"
    ),
    *action_routes(
        "datasets/images/resize-example",
        DigitsDatasetViewSet,
        {"get": "defaults", "post": "resize_example"},
        "resize-example",
        serializer_class=ResizeExampleForm,
        name="Resize Example",
    ),
    path("datasets/<str:job_id>/report.csv", action_view(ReportViewSet, {"get": "as_csv"}), name="dataset-report-csv"),
    *action_routes(
        "datasets/<str:job_id>/report/map",
        MapViewSet,
        {"get": "map"},
        "dataset-map",
        name="Map of images",
        renderer_classes=(CompactJSONRenderer, BrowsablePage),
    ),
    *action_routes(
        "datasets/<str:job_id>/report/similar", MapViewSet, {"get": "similar"}, "dataset-similar", name="Similar images"
    ),
    *action_routes(
        "datasets/<str:job_id>/report",
        ReportViewSet,
        {"get": "retrieve", "post": "create"},
        "dataset-report",
        name="Report on a dataset",
    ),
    *action_routes(
        "datasets/<str:job_id>/revisions",
        RevisionViewSet,
        {"get": "retrieve", "post": "create"},
        "dataset-revisions",
        name="Revisions of a dataset",
    ),
    *action_routes(
        "datasets/<str:job_id>/diff",
        DifferenceViewSet,
        {"get": "retrieve"},
        "dataset-diff",
        name="Difference of two revisions",
    ),
    path("datasets", RedirectView.as_view(query_string=True, pattern_name="home")),
    *resource_routes("datasets", DatasetResourceViewSet),
    *job_routes("datasets", DatasetViewSet, "Dataset Detail"),
]
