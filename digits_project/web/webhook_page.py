"""The page of one's webhooks: their addresses, what was sent, and the forms that make, try, switch and delete them."""

from collections.abc import Callable

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.serializers import BooleanField, CharField, ChoiceField, IntegerField

from digits_project.accounts.authentication import Session
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.forms import Form
from digits_project.api.viewsets import PageView
from digits_project.webhooks import services
from digits_project.webhooks.models import MAX_URL, Happening, Webhook

MAX_DELIVERIES = 5  # of each webhook, on the page


class AddressForm(Form):
    """A new webhook: its address, and which ends of jobs it reports."""

    url = CharField(max_length=MAX_URL)
    done = BooleanField(default=False)
    error = BooleanField(default=False)
    aborted = BooleanField(default=False)


class WebhookActionForm(Form):
    """What to do with a webhook."""

    webhook = IntegerField(min_value=1, max_value=2**63 - 1)
    action = ChoiceField(["test", "on", "off", "delete"])


ACTIONS: dict[str, Callable[[Webhook], object]] = {
    "test": services.try_out,
    "on": lambda webhook: services.change(webhook, is_active=True),
    "off": lambda webhook: services.change(webhook, is_active=False),
    "delete": services.remove,
}


class WebhookPage(PageView):
    """Your webhooks: addresses that get a message when one of your jobs ends."""

    authentication_classes = (Session,)
    role = reading_role = Role.USER

    def get_view_name(self):
        return "Webhooks"

    def get(self, request) -> HttpResponse:
        hooks = [(hook, hook.deliveries.all()[:MAX_DELIVERIES]) for hook in services.webhooks_of(request.user)]
        return PageResponse({}, "webhooks.html", hooks=hooks, are_allowed=services.are_allowed())

    def post(self, request) -> HttpResponse:
        """Make a webhook. Its secret is on the page of this response, and never again."""
        if not services.are_allowed():
            raise PermissionDenied(services.NOT_ALLOWED)
        asked = AddressForm.valid_values(request.data)
        events = [event.value for event in Happening if asked[event.value.removeprefix("job.")]]
        if not events:
            raise ValidationError({"done": "Choose at least one."})
        try:
            webhook = services.create(request.user, asked["url"], events)
        except DjangoValidationError as wrong:
            raise ValidationError(wrong.message_dict) from wrong
        return PageResponse({}, "new_webhook.html", webhook=webhook)


class ChangeWebhook(WebhookPage):
    """Try, switch on or off, or delete one of one's own webhooks."""

    http_method_names = ["post"]

    def post(self, request) -> HttpResponse:
        asked = WebhookActionForm.valid_values(request.data)
        webhook = get_object_or_404(services.webhooks_of(request.user), pk=asked["webhook"])
        if asked["action"] == "test" and not services.are_allowed():
            raise PermissionDenied(services.NOT_ALLOWED)
        try:
            ACTIONS[asked["action"]](webhook)
        except DjangoValidationError as wrong:  # its address is no longer allowed
            raise ValidationError(wrong.message_dict) from wrong
        return HttpResponseRedirect(reverse("webhooks"))
