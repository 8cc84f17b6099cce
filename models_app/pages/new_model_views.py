"""The fragments of the page that creates models."""

from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.urls import reverse
from rest_framework.exceptions import NotFound, ValidationError

from datasets.imagedb.images.formats import data_url
from digits_project.accounts import usernames
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.common.errors import BadInput
from models_app import searches
from models_app.api.serializers import FORMS
from models_app.kinds import KINDS
from models_app.networks.drawing import svg
from models_app.pages.form_plan import ROUTES, UNNAMED, as_command, as_curl, planned, sent_fields
from models_app.pages.new_model import dataset_choices


class OfKind(PageView):
    """A fragment of the form for one kind of models."""

    role = Role.USER

    def kind(self) -> str:
        kind = self.kwargs["kind"]
        if kind not in FORMS:
            raise NotFound
        return kind


class DatasetChoices(OfKind):
    """The datasets that have the text `q` in their name or owner."""

    def get(self, request, kind):
        query = request.query_params
        found = dataset_choices(query.get("dataset", ""), query.get("q", ""), KINDS[self.kind()].has_categories)
        return PageResponse({}, "models_app/dataset_choices.html", datasets=found)


class FormPlan(OfKind):
    """What the form would become."""

    def post(self, request, kind):
        kind = self.kind()
        sent = sent_fields(request.data, FORMS[kind]())
        sent.setdefault("model_name", UNNAMED)
        address = request.build_absolute_uri(reverse(f"{ROUTES[kind]}-json"))
        found = planned(usernames.owner(request), kind, request.data)
        needs_token = settings.DIGITS_AUTH == "required" or request.user.is_authenticated
        found |= {"curl": as_curl(address, sent, needs_token), "command": as_command(kind, sent)}
        return PageResponse({}, "models_app/plan.html", **found)


class NetworkPicture(OfKind):
    """The network of the form as a picture."""

    def post(self, request, kind):
        kind = self.kind()
        sent = sent_fields(request.data, FORMS[kind]())
        form = FORMS[kind](data={**sent, "model_name": UNNAMED})
        try:
            form.is_valid(raise_exception=True)
            with transaction.atomic():
                network = searches.planned_models(usernames.owner(request), **form.validated_data)[0].network()
            drawn = data_url(svg.svg(network).encode(), "image/svg+xml")
        except (ValidationError, DjangoValidationError):
            return self._nothing("Complete the form first: choose a dataset and a network that fits its images.")
        except BadInput as wrong:
            return self._nothing(str(wrong))
        return PageResponse({}, "models_app/network_picture.html", picture=drawn)

    def _nothing(self, why: str) -> PageResponse:
        return PageResponse({}, "models_app/network_picture.html", why=why)
