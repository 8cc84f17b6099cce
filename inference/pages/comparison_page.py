"""The page that compares two evaluations on the same images."""

from typing import Any

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from rest_framework import serializers

from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.jobs.api.views import fetch
from digits_project.jobs.visibility import is_visible
from inference.api.comparison_views import PairQuery, pair_json
from inference.api.disagreement_views import page_of
from inference.judging.evaluation_pair import CanNotCompare, EvaluationPair, comparable
from models_app import evaluations
from models_app.results import Evaluation

MAX_CATEGORIES = 50  # in the table


class PageQuery(PairQuery):
    """The query string, in which the other evaluation can be missing: then the page offers those that there are."""

    other = serializers.CharField(max_length=100, default="")


class ComparisonPage(PageView):
    """Two evaluations: what each gets right that the other doesn't, and whether that can be chance."""

    role = Role.USER

    def get_view_name(self):
        return "Compare two evaluations"

    def get(self, request, job_id):
        evaluation, asked = fetch(Evaluation, job_id), PageQuery.valid_values(request.query_params)
        dataset = evaluation.trained_model.dataset
        shown: dict[str, Any] = {
            "evaluation": evaluation,
            "dataset": dataset if is_visible(dataset) else None,
            "asked": asked,
            "others": list(comparable(evaluation)),
        }
        address = ""
        if asked["other"]:
            address = f"{reverse('v1-comparison', args=[job_id])}?{urlencode(dict(request.query_params.items()))}"
            try:
                shown |= _facts(EvaluationPair(evaluation, fetch(Evaluation, asked["other"])), asked)
            except CanNotCompare as unable:
                shown |= {"why": str(unable), "again": unable.again}
        return PageResponse({}, "inference/comparison.html", json_address=address, **shown)

    def post(self, request, job_id):
        """Evaluate those of the two again whose answers are not stored."""
        evaluation, asked = fetch(Evaluation, job_id), PageQuery.valid_values(request.query_params)
        pair = [evaluation, fetch(Evaluation, asked["other"])]
        try:
            EvaluationPair(*pair)
        except CanNotCompare as unable:
            repeated = {one.pk: self._repeated(one) for one in unable.again}
            pair = [repeated.get(one.pk, one) for one in pair]
        address = reverse("evaluation-comparison", args=[pair[0].pk])
        return HttpResponseRedirect(f"{address}?other={pair[1].pk}")

    def _repeated(self, evaluation: Evaluation) -> Evaluation:
        permissions.refuse_to_change(self.request, evaluation)
        return evaluations.repeat(evaluation, usernames.owner(self.request))


def _facts(pair: EvaluationPair, asked: dict[str, Any]) -> dict[str, Any]:
    numbers = page_of(pair, asked["only"] or "", asked["page"], asked["page_size"])
    categories = pair.categories()
    return {
        "pair": pair,
        "facts": pair_json(pair),
        "categories": categories[:MAX_CATEGORIES],
        "category_count": len(categories),
        "numbers": numbers,
        "images": [pair.describe(int(record)) for record in numbers],
    }
