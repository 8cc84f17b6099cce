from django.urls import path

from digits_project.api.routes import action_routes, action_view
from inference.api.comparison_views import ComparisonViewSet
from inference.api.disagreement_views import DisagreementViewSet
from inference.api.slice_views import SliceViewSet
from inference.api.views import InferenceViewSet
from inference.inference_kinds import QUESTIONS


def question_routes(kind: str, action: str) -> list:
    """The routes of an inference action: GET shows its form, POST runs it."""
    methods = {"get": "defaults", "post": action}
    return action_routes(f"models/images/{kind}/{action}", InferenceViewSet, methods, action.replace("_", "-"))


urlpatterns = [
    *(route for kind, actions in QUESTIONS.items() for action in actions for route in question_routes(kind, action)),
    path(
        "models/<str:job_id>/download",
        action_view(InferenceViewSet, {"get": "download", "post": "download"}),
        name="download",
    ),
    path(
        "models/<str:job_id>/download.<str:form>",
        action_view(InferenceViewSet, {"get": "download_as", "post": "download_as"}),
        name="download-form",
    ),
    path("api/v1/disagreements", action_view(DisagreementViewSet, {"get": "list"}), name="v1-disagreements"),
    path(
        "api/v1/evaluations/<str:job_id>/comparison",
        action_view(ComparisonViewSet, {"get": "retrieve"}),
        name="v1-comparison",
    ),
    path("api/v1/evaluations/<str:job_id>/slices", action_view(SliceViewSet, {"get": "retrieve"}), name="v1-slices"),
]
