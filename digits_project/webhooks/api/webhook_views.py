"""Webhooks as resources of /api/v1: one's own."""

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.response import Response

from digits_project.accounts.roles import Role
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.viewsets import FormViewSet
from digits_project.webhooks import services
from digits_project.webhooks.api.webhook_forms import (
    DeliveryFacts,
    DeliveryList,
    NewWebhook,
    WebhookChangeForm,
    WebhookDeleted,
    WebhookFacts,
    WebhookForm,
    WebhookList,
)
from digits_project.webhooks.models import Webhook

ID = OpenApiParameter("webhook_id", int, OpenApiParameter.PATH, description="The id of a webhook of yours.")


class WebhookViewSet(FormViewSet):
    """Your webhooks: addresses that get a signed request when one of your jobs ends."""

    role = reading_role = Role.USER
    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses={200: WebhookList})
    def list(self, request):
        """Your webhooks."""
        return Response({"webhooks": WebhookFacts(services.webhooks_of(request.user), many=True).data})

    @extend_schema(request=WebhookForm, responses={200: NewWebhook, **errors(403, 429)})
    def create(self, request):
        """Make a webhook. The response alone shows its secret."""
        if not services.are_allowed():
            raise PermissionDenied(services.NOT_ALLOWED)
        self.serializer_class = WebhookForm
        form = self.valid_form(request.data)
        try:
            webhook = services.create(request.user, **form.validated_data)
        except DjangoValidationError as wrong:
            raise ValidationError(wrong.message_dict) from wrong
        return Response(NewWebhook(webhook).data)

    @extend_schema(parameters=[ID], responses={200: WebhookFacts, **errors(404)})
    def retrieve(self, request, webhook_id):
        """A webhook of yours."""
        return Response(WebhookFacts(self._own(webhook_id)).data)

    @extend_schema(request=WebhookChangeForm, parameters=[ID], responses={200: WebhookFacts, **errors(404)})
    def update(self, request, webhook_id):
        """Change a webhook: its address, events or secret, or whether it is active."""
        webhook = self._own(webhook_id)
        self.serializer_class = WebhookChangeForm
        changes = dict(self.valid_form(request.data).validated_data)
        active = changes.pop("active")
        changes |= {} if active is None else {"is_active": active}
        if not changes:
            raise ValidationError("Nothing to change: send url, events, secret or active.")
        try:
            services.change(webhook, **changes)
        except DjangoValidationError as wrong:
            raise ValidationError(wrong.message_dict) from wrong
        return Response(WebhookFacts(webhook).data)

    @extend_schema(parameters=[ID], responses={200: WebhookDeleted, **errors(404)})
    def destroy(self, request, webhook_id):
        """Delete a webhook. What is pending is not sent any more."""
        services.remove(self._own(webhook_id))
        return Response({"message": "Webhook deleted.", "id": webhook_id})

    @extend_schema(parameters=[ID], responses={200: DeliveryList, **errors(404)})
    @action(detail=True)
    def deliveries(self, request, webhook_id):
        """The deliveries of a webhook, the newest first: what was sent, when, and what came back."""
        return Response({"deliveries": DeliveryFacts(self._own(webhook_id).deliveries.all()[:1000], many=True).data})

    @extend_schema(request=None, parameters=[ID], responses={200: DeliveryFacts, **errors(404)})
    @action(detail=True, methods=["post"])
    def test(self, request, webhook_id):
        """Send a test message, once. The deliveries show what comes back."""
        if not services.are_allowed():
            raise PermissionDenied(services.NOT_ALLOWED)
        return Response(DeliveryFacts(services.try_out(self._own(webhook_id))).data)

    def _own(self, webhook_id: int) -> Webhook:
        webhook = services.webhooks_of(self.request.user).filter(pk=webhook_id).first()
        if webhook is None:
            raise NotFound("You have no such webhook.")
        return webhook
