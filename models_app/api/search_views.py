"""The viewset of searches, their JSON, and the serializers of the responses for the schema."""

from collections.abc import Sequence

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers

from digits_project.api.browsable import PageResponse
from digits_project.jobs.api.job_responses import JobFacts, describe_job
from digits_project.jobs.api.views import JobViewSet, fetch
from digits_project.jobs.models import LIST_ORDER, Status
from digits_project.jobs.visibility import is_visible, visible
from models_app.api.model_responses import epoch_json
from models_app.search.fold_figures import fold_figures
from models_app.search.search_job import PRUNERS, Search
from models_app.search.trials import Standing, leaderboard

MAX_LISTED = 1000


def search_json(search: Search) -> dict:
    """The response to GET /searches/<id>.json."""
    standings = leaderboard(search)
    best = {"search_best": standings[0].model.pk} if standings and standings[0].best else {}
    return describe_job(
        search,
        dataset_id=search.dataset_id,
        search_trials=search.search_trials,
        search_minutes=search.search_minutes,
        search_pruner=search.search_pruner,
        folds=search.folds,
        fold_figures=fold_json(search, standings),
        space={name: str(dimension) for name, dimension in search.dimensions.items()},
        **best,
        leaderboard=[standing_json(standing) for standing in standings],
    )


def fold_json(search: Search, standings: Sequence[Standing]) -> dict | None:
    """The figures over the folds; None without folds."""
    if not search.folds:
        return None
    figures = fold_figures(standings)._asdict()
    return {name: found and found._asdict() for name, found in figures.items()}


def standing_json(standing: Standing) -> dict:
    """A trial on the leaderboard."""
    model, best = standing.model, standing.best
    facts = {"rank": standing.rank, "trial": model.trial, "model_id": model.pk, "name": model.name}
    facts |= {"status": model.status, "progress": round(model.progress, 4), "parameters": standing.values}
    if best:
        facts |= {"epoch": epoch_json(best.epoch), "accuracy": best.accuracy, "loss": best.loss}
    if model.pruned_epoch is not None:
        facts["pruned_epoch"] = epoch_json(model.pruned_epoch)
    return facts


class RankedTrial(serializers.Serializer):
    """A trial of a search: a model, with the validation of its best snapshot."""

    rank = serializers.IntegerField(allow_null=True, help_text="From 1; null until it has a validated snapshot.")
    trial = serializers.IntegerField(help_text="Its number, in the order of creation.")
    model_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    progress = serializers.FloatField(min_value=0, max_value=1)
    parameters = serializers.DictField(child=serializers.FloatField(), help_text="The values that were chosen for it.")
    epoch = serializers.FloatField(required=False, help_text="The epoch of its best snapshot.")
    accuracy = serializers.FloatField(required=False, allow_null=True, help_text="0 to 1; null without accuracy.")
    loss = serializers.FloatField(required=False)
    pruned_epoch = serializers.FloatField(required=False, help_text="The epoch at which the search stopped it.")


class SpreadFacts(serializers.Serializer):
    """A figure over the folds that are Done."""

    folds = serializers.IntegerField(help_text="How many have it.")
    mean = serializers.FloatField()
    deviation = serializers.FloatField(allow_null=True, help_text="The standard deviation; null for one fold.")
    lowest = serializers.FloatField()
    highest = serializers.FloatField()


class FoldFacts(serializers.Serializer):
    """The figures of a k-fold, each null until a fold has it."""

    accuracy = SpreadFacts(
        allow_null=True,
        help_text="Of the best snapshots, which are chosen by the images that they are measured on; 0 to 1.",
    )
    last_accuracy = SpreadFacts(allow_null=True, help_text="Of the last validations, for which nothing was chosen.")
    macro_f1 = SpreadFacts(allow_null=True, help_text="Of the evaluations: the mean F1 of the categories.")


class SearchFacts(JobFacts):
    """A search: what it chooses from, and its trials, the best first."""

    dataset_id = serializers.CharField()
    search_trials = serializers.IntegerField(allow_null=True)
    search_minutes = serializers.FloatField(allow_null=True)
    search_pruner = serializers.ChoiceField(PRUNERS)
    folds = serializers.IntegerField(help_text="0 unless it is a k-fold.")
    fold_figures = FoldFacts(allow_null=True, help_text="The result of a k-fold; null without folds.")
    space = serializers.DictField(
        child=serializers.CharField(), help_text="The range or the list of each hyperparameter that it chooses."
    )
    search_best = serializers.CharField(
        required=False, help_text="The id of the model with the best validation; absent until there is one."
    )
    leaderboard = RankedTrial(many=True)


class ListedSearch(serializers.Serializer):
    """A search in the list."""

    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    dataset_id = serializers.CharField()


@extend_schema_serializer(many=False)  # an object, although the action is called `list`
class SearchList(serializers.Serializer):
    """Searches, in the order of the index."""

    searches = ListedSearch(many=True)


class SearchViewSet(JobViewSet):
    """A search for the best hyperparameters: its trials, the best first. POST /models/images/… with a range creates
    one."""

    job_class = Search

    @extend_schema(responses={200: SearchFacts})
    def retrieve(self, request, job_id, format=None):
        search = fetch(Search, job_id)
        dataset = search.dataset if is_visible(search.dataset) else None
        return PageResponse(search_json(search), "models_app/search.html", dataset=dataset)

    @extend_schema(responses={200: SearchList})
    def list(self, request, format=None):
        """All searches: running ones first, then the newest first."""
        rows = visible(Search).order_by(*LIST_ORDER).values("job_id", "name", "status", "dataset_id")[:MAX_LISTED]
        listed = {"searches": [{"id": row.pop("job_id"), **row} for row in rows]}
        return PageResponse(listed, "models_app/search_list.html")
