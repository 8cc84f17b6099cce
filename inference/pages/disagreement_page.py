"""The page of the images on which models disagree."""

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.jobs.visibility import is_visible
from inference.api.disagreement_views import DisagreementQuery, counts_of, page_of
from inference.disagreements import Disagreements
from models_app import evaluations


class DisagreementPage(PageView):
    """The images that some of the models `ids` classify correctly and others do not."""

    role = Role.USER

    def get_view_name(self):
        return "Where models disagree"

    def get(self, request):
        query, found = self._asked(request)
        asked = query.validated_data
        numbers = page_of(found, asked["only"], asked["page"], asked["page_size"])
        shown = {
            "found": found,
            "ids": asked["ids"],
            "only": asked["only"],
            "counts": counts_of(found),
            "numbers": numbers,
            "images": [found.describe(int(record)) for record in numbers],
            "splits": [split["name"] for split in found.dataset.splits if split["name"] in ("val", "test")],
            "shows_images": is_visible(found.dataset),
            "again": [left for left in found.left_out if left.evaluation],
        }
        return PageResponse({}, "inference/disagreements.html", json_address=_resource(request), **shown)

    def post(self, request):
        """Evaluate the models again whose evaluation is of an earlier version."""
        _, found = self._asked(request)
        for left in found.left_out:
            if left.evaluation:
                permissions.refuse_to_change(request, left.evaluation)
                evaluations.repeat(left.evaluation, usernames.owner(request))
        return HttpResponseRedirect(request.get_full_path())

    def _asked(self, request) -> tuple[DisagreementQuery, Disagreements]:
        query = DisagreementQuery.with_data(request.query_params)
        query.is_valid(raise_exception=True)
        return query, query.disagreements()


def _resource(request) -> str:
    return f"{reverse('v1-disagreements')}?{urlencode(dict(request.query_params.items()))}"
