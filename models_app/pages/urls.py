from django.urls import path

from models_app.pages import model_views, new_model_views
from models_app.pages.compare import Compare

urlpatterns = [
    path("models/compare", Compare.as_view(), name="compare"),
    path("pages/models/<str:kind>/datasets", new_model_views.DatasetChoices.as_view(), name="model-datasets"),
    path("pages/models/<str:kind>/plan", new_model_views.FormPlan.as_view(), name="model-plan"),
    path("pages/models/<str:kind>/network", new_model_views.NetworkPicture.as_view(), name="model-network"),
    path("pages/models/<str:job_id>/live", model_views.Live.as_view(), name="model-live"),
    path("pages/models/<str:job_id>/curves.json", model_views.Curves.as_view(), name="model-curves"),
    path("pages/models/<str:job_id>/stop", model_views.StopTraining.as_view(), name="model-stop"),
    path("pages/models/<str:job_id>/keep", model_views.KeepSnapshot.as_view(), name="model-keep"),
    path("pages/models/<str:job_id>/log", model_views.LogTail.as_view(), name="model-log"),
]
