from django.urls import path

from digits_project.api.routes import with_suffix
from inference.api import views

CLASSIFICATION = "models/images/classification"
GENERIC = "models/images/generic"

urlpatterns = [
    *with_suffix(f"{CLASSIFICATION}/classify_one", views.ClassifyOne, "classify-one"),
    *with_suffix(f"{CLASSIFICATION}/classify_many", views.ClassifyMany, "classify-many"),
    *with_suffix(f"{CLASSIFICATION}/top_n", views.TopN, "top-n"),
    *with_suffix(f"{GENERIC}/infer_one", views.InferOne, "infer-one"),
    *with_suffix(f"{GENERIC}/infer_many", views.InferMany, "infer-many"),
    path("models/<str:job_id>/download", views.Download.as_view(), name="download"),
    path("models/<str:job_id>/download.<str:form>", views.Download.as_view(), name="download-form"),
]
