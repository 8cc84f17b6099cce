from django.urls import path
from django.views.generic import RedirectView

from digits_project.api.routes import action_routes, action_view
from digits_project.jobs.api.urls import job_routes, resource_routes
from models_app.api.pretrained_views import (
    ArchiveViewSet,
    NewPretrainedViewSet,
    PretrainedViewSet,
    ToPretrainedViewSet,
)
from models_app.api.previews.preview_views import AugmentPreviewViewSet, DatasetPreviewViewSet, ModelPreviewViewSet
from models_app.api.resources.digits_addresses import DigitsModelViewSet
from models_app.api.resources.model_resources import ModelResourceViewSet
from models_app.api.resources.other_resources import (
    EvaluationResourceViewSet,
    PretrainedResourceViewSet,
    SearchResourceViewSet,
)
from models_app.api.resources.snapshot_resources import SnapshotViewSet
from models_app.api.search_views import SearchViewSet
from models_app.api.views import ClassificationModelViewSet, EvaluationViewSet, GenericModelViewSet, ModelViewSet

CREATE = {"get": "defaults", "post": "create"}


def question_routes(route: str, action: str) -> list:
    """The routes of an action that answers a form without creating a job."""
    return action_routes(f"models/{route}", ModelViewSet, {"get": "defaults", "post": action}, route)


def digits_routes(route: str, action: str, name: str, *methods: str) -> list:
    """The routes of a GET, or further methods, at an address of DIGITS."""
    return action_routes(route, DigitsModelViewSet, dict.fromkeys(("get", *methods), action), name)


def preview_routes(kind: str, viewset: type[AugmentPreviewViewSet]) -> list:
    """The routes of the preview of a job's images, and of their sheet."""
    route, name = f"{kind}/<str:job_id>/augment_preview", f"{kind}-augment-preview"
    return [
        path(f"{route}.png", action_view(viewset, {"get": "sheet"}), name=f"{name}-png"),
        *action_routes(route, viewset, {"get": "retrieve"}, name, name="Preview of Augmentation"),
    ]


urlpatterns = [
    *action_routes(
        "models/images/classification",
        ClassificationModelViewSet,
        CREATE,
        "create-model",
        name="New Image Classification Model",
    ),
    *action_routes(
        "models/images/generic", GenericModelViewSet, CREATE, "create-generic-model", name="New Image Model"
    ),
    *digits_routes("models/images/classification/large_graph", "large_graph", "large-graph"),
    *digits_routes("models/images/generic/large_graph", "large_graph", "large-graph-generic"),
    *digits_routes("completed_jobs", "completed_jobs", "completed-jobs"),
    *digits_routes("jobs/<str:job_id>/table_data", "table_data", "table-data"),
    *digits_routes("clone/<str:job_id>", "clone", "clone", "post"),
    *question_routes("visualize-lr", "visualize_lr"),
    *question_routes("visualize-network", "visualize_network"),
    *question_routes("customize", "customize"),
    *action_routes("models/timm_networks", ModelViewSet, {"get": "timm_networks"}, "timm-networks"),
    path("models/<str:job_id>/metrics.csv", action_view(ModelViewSet, {"get": "metrics_csv"}), name="metrics-csv"),
    *action_routes(
        "models/<str:job_id>/evaluation",
        EvaluationViewSet,
        {"get": "retrieve", "post": "create"},
        "evaluation",
        name="Evaluation of a model",
    ),
    *preview_routes("datasets", DatasetPreviewViewSet),
    *preview_routes("models", ModelPreviewViewSet),
    *action_routes(
        "models/<str:job_id>/to_pretrained",
        ToPretrainedViewSet,
        {"post": "create"},
        "to-pretrained",
        name="Make Pretrained",
    ),
    *action_routes("pretrained_models/new", NewPretrainedViewSet, CREATE, "create-pretrained", name="New Weights"),
    *action_routes(
        "pretrained_models/upload_archive", ArchiveViewSet, CREATE, "upload-pretrained", name="Upload an Archive"
    ),
    *action_routes(
        "pretrained_models", PretrainedViewSet, {"get": "list"}, "pretrained-list", name="Pretrained Models"
    ),
    *action_routes(
        "pretrained_models/<str:job_id>/status", PretrainedViewSet, {"get": "status"}, "pretrained_models-status"
    ),
    *action_routes(
        "pretrained_models/<str:job_id>",
        PretrainedViewSet,
        {"get": "retrieve", "put": "update", "delete": "destroy"},
        "pretrained_models-detail",
        name="Pretrained Model",
    ),
    # DIGITS has its forms and its list at these URLs.
    path("models/images/classification/new", RedirectView.as_view(query_string=True, pattern_name="create-model")),
    path("models/images/generic/new", RedirectView.as_view(query_string=True, pattern_name="create-generic-model")),
    path("models", RedirectView.as_view(query_string=True, pattern_name="home")),
    *action_routes("searches", SearchViewSet, {"get": "list"}, "search-list", name="Searches"),
    *resource_routes("models", ModelResourceViewSet),
    path(
        "api/v1/models/<str:job_id>/snapshots/<str:epoch>",
        action_view(SnapshotViewSet, {"get": "retrieve", "put": "update", "delete": "destroy"}),
        name="v1-snapshot",
    ),
    path("api/v1/models/<str:job_id>/stop", action_view(ModelResourceViewSet, {"post": "stop"}), name="v1-models-stop"),
    *resource_routes("pretrained", PretrainedResourceViewSet),
    *resource_routes("searches", SearchResourceViewSet),
    *resource_routes("evaluations", EvaluationResourceViewSet),
    *job_routes("searches", SearchViewSet, "Search"),
    *job_routes("models", ModelViewSet, "Model Detail"),
]
