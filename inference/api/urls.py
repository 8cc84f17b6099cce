from django.urls import path

from digits_project.api.routes import action_routes, action_view
from inference.api.views import InferenceViewSet


def question_routes(kind: str, action: str, url_name: str) -> list:
    """The routes of a question to a snapshot, which is a form."""
    return action_routes(
        f"models/images/{kind}/{action}", InferenceViewSet, {"get": "defaults", "post": action}, url_name
    )


urlpatterns = [
    *question_routes("classification", "classify_one", "classify-one"),
    *question_routes("classification", "classify_many", "classify-many"),
    *question_routes("classification", "top_n", "top-n"),
    *question_routes("generic", "infer_one", "infer-one"),
    *question_routes("generic", "infer_many", "infer-many"),
    path("models/<str:job_id>/download", action_view(InferenceViewSet, {"get": "download"}), name="download"),
    path(
        "models/<str:job_id>/download.<str:form>",
        action_view(InferenceViewSet, {"get": "download_as"}),
        name="download-form",
    ),
]
