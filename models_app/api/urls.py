from django.urls import path
from django.views.generic import RedirectView

from digits_project.api.routes import with_suffix
from digits_project.jobs.api.urls import job_routes
from models_app.api import views
from models_app.models import TrainedModel

urlpatterns = [
    *with_suffix("models/images/classification", views.CreateClassificationModel, "create-model"),
    *with_suffix("models/images/generic", views.CreateGenericModel, "create-generic-model"),
    *with_suffix("models/visualize-lr", views.VisualizeLearningRate, "visualize-lr"),
    *with_suffix("models/visualize-network", views.VisualizeNetwork, "visualize-network"),
    *with_suffix("models/customize", views.Customize, "customize"),
    path("models/<str:job_id>/metrics.csv", views.MetricsFile.as_view(), name="metrics-csv"),
    *with_suffix("models/<str:job_id>/evaluation", views.ModelEvaluation, "evaluation"),
    # Where DIGITS has its forms and its list.
    path("models/images/classification/new", RedirectView.as_view(query_string=True, pattern_name="create-model")),
    path("models/images/generic/new", RedirectView.as_view(query_string=True, pattern_name="create-generic-model")),
    path("models", RedirectView.as_view(query_string=True, pattern_name="home")),
    *job_routes("models", views.ModelDetail, TrainedModel),
]
