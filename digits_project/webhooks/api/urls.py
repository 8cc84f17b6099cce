from django.urls import path

from digits_project.api.routes import action_view
from digits_project.webhooks.api.webhook_views import WebhookViewSet

ONE = "api/v1/webhooks/<int:webhook_id>"
ITSELF = {"get": "retrieve", "put": "update", "delete": "destroy"}

urlpatterns = [
    path("api/v1/webhooks", action_view(WebhookViewSet, {"get": "list", "post": "create"}), name="v1-webhooks"),
    path(ONE, action_view(WebhookViewSet, ITSELF), name="v1-webhooks-detail"),
    path(f"{ONE}/deliveries", action_view(WebhookViewSet, {"get": "deliveries"}), name="v1-webhooks-deliveries"),
    path(f"{ONE}/test", action_view(WebhookViewSet, {"post": "test"}), name="v1-webhooks-test"),
]
