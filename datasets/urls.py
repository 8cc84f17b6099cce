from datasets import views
from datasets.models import Dataset
from digits_project.api import with_suffix
from digits_project.jobs.urls import job_routes

urlpatterns = [
    *with_suffix("datasets/images/classification", views.CreateClassification, "create-dataset"),
    *with_suffix("datasets/images/generic", views.CreateGeneric, "create-generic-dataset"),
    *job_routes("datasets", views.DatasetDetail, Dataset),
]
