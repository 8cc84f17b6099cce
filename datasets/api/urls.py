from django.urls import path
from django.views.generic import RedirectView

from datasets.api import views
from datasets.models import Dataset
from digits_project.api.routes import with_suffix
from digits_project.jobs.api.urls import job_routes

urlpatterns = [
    *with_suffix("datasets/images/classification", views.CreateClassificationDataset, "create-dataset"),
    *with_suffix("datasets/images/generic", views.CreateGenericDataset, "create-generic-dataset"),
    # Where DIGITS has its forms and its list.
    path("datasets/images/classification/new", RedirectView.as_view(query_string=True, pattern_name="create-dataset")),
    path("datasets/images/generic/new", RedirectView.as_view(query_string=True, pattern_name="create-generic-dataset")),
    path("datasets", RedirectView.as_view(query_string=True, pattern_name="home")),
    *job_routes("datasets", views.DatasetDetail, Dataset),
]
