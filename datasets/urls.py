from django.urls import path
from django.views.generic import RedirectView

from datasets import views
from datasets.models import Dataset
from digits_project.api import with_suffix
from digits_project.jobs.urls import job_routes

urlpatterns = [
    *with_suffix("datasets/images/classification", views.CreateClassification, "create-dataset"),
    *with_suffix("datasets/images/generic", views.CreateGeneric, "create-generic-dataset"),
    # Where DIGITS has its forms and its list.
    path("datasets/images/classification/new", RedirectView.as_view(query_string=True, pattern_name="create-dataset")),
    path("datasets/images/generic/new", RedirectView.as_view(query_string=True, pattern_name="create-generic-dataset")),
    path("datasets", RedirectView.as_view(query_string=True, pattern_name="home")),
    *job_routes("datasets", views.DatasetDetail, Dataset),
]
