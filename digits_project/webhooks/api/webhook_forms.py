"""The forms of webhooks, and the shapes of the responses."""

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from digits_project.api.forms import Flag, Form
from digits_project.webhooks.models import MAX_URL, Happening

EVENTS = {"type": "array", "items": {"type": "string", "enum": list(Happening.values)}}


@extend_schema_field(EVENTS)
class HappeningNames(serializers.CharField):
    """Names of events separated by commas, or a JSON list. The value is a list."""

    def run_validation(self, data=serializers.empty):
        return super().run_validation(",".join(map(str, data)) if isinstance(data, list) else data)

    def to_internal_value(self, data):
        names = list(dict.fromkeys(name for name in map(str.strip, super().to_internal_value(data).split(",")) if name))
        if unknown := [name for name in names if name not in Happening.values]:
            known = ", ".join(Happening.values)
            raise serializers.ValidationError(f"There is no event {unknown[0][:50]}; there are {known}.")
        return names


class WebhookForm(Form):
    """The form of a new webhook."""

    url = serializers.CharField(max_length=MAX_URL, help_text="The address that gets a POST when a job has ended.")
    events = HappeningNames(required=False, help_text="What to report, separated by commas: all by default.")
    secret = serializers.CharField(
        required=False,
        max_length=100,
        help_text="The key of the signatures: whsec_ and base64 of 24 to 64 bytes. By default the server makes one.",
    )


class WebhookChangeForm(Form):
    """The form that changes a webhook; what is left out stays."""

    url = serializers.CharField(required=False, max_length=MAX_URL, help_text="The new address.")
    events = HappeningNames(required=False, help_text="What to report from now on, separated by commas.")
    secret = serializers.CharField(required=False, max_length=100, help_text="The new key of the signatures.")
    active = Flag(
        default=None,
        allow_null=True,
        help_text="Whether it reports anything. A webhook that was disabled after failures can be switched on again.",
    )


class WebhookFacts(serializers.Serializer):
    """A webhook. Its secret is shown once, when it is made."""

    id = serializers.IntegerField(source="pk")
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(Happening.values))
    active = serializers.BooleanField(source="is_active")
    created_at = serializers.DateTimeField()
    failures = serializers.IntegerField(help_text="Failed attempts since the last success.")
    retry_at = serializers.DateTimeField(allow_null=True, help_text="Nothing is sent before; null: no failure.")
    disabled_because = serializers.CharField(allow_blank=True, help_text="Why the server switched it off.")


class NewWebhook(WebhookFacts):
    """A webhook that has just been made."""

    secret = serializers.CharField(help_text="Keep it: it is not shown again.")


class WebhookDeleted(serializers.Serializer):
    """The response to a deletion."""

    message = serializers.CharField()
    id = serializers.IntegerField()


@extend_schema_serializer(many=False)
class WebhookList(serializers.Serializer):
    """The webhooks of the user."""

    webhooks = WebhookFacts(many=True)


class DeliveryFacts(serializers.Serializer):
    """A message of a webhook, and its last attempt."""

    id = serializers.UUIDField(source="delivery_id", help_text="The header webhook-id: msg_ and this without hyphens.")
    event = serializers.CharField(help_text="An event, or test.")
    job_id = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(["pending", "delivered", "failed"])
    created_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    attempted_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    status_code = serializers.IntegerField(allow_null=True, help_text="Null: there was no response.")
    seconds = serializers.FloatField(allow_null=True)
    error = serializers.CharField(allow_blank=True)


@extend_schema_serializer(many=False)
class DeliveryList(serializers.Serializer):
    """The deliveries of a webhook, the newest first: those that are pending, and the last hundred of the others."""

    deliveries = DeliveryFacts(many=True)
