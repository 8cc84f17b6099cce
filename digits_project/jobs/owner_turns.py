"""Orders waiting jobs: at equal priority owners take turns, so that nobody waits behind fifty jobs of one user."""

from django.db.models import Case, Count, F, Max, Min, Q, QuerySet, Value, When, Window
from django.db.models.functions import RowNumber

OLDEST_FIRST = ("-priority", "created_at", "pk")


def in_turn(waiting: QuerySet, everyone: QuerySet, is_running: Q) -> QuerySet:
    """The waiting jobs in the order in which they run.

    The order is by priority, then by turn: an owner's first waiting job comes before the second of any other owner, and
    running jobs count as turns taken. Within a turn, the owner whose last job started longest ago goes first, and of
    those who never had one started, the one with the oldest job. Jobs without an owner count as one owner's, in the
    order of creation.
    """
    owners = list(
        everyone.filter(owner__in=waiting.order_by().values("owner"))
        .values("owner")
        .annotate(running=Count("pk", filter=is_running), served=Max("started_at"), since=Min("created_at"))
        .order_by(F("served").asc(nulls_first=True), "since")
        .values_list("owner", "running")
    )
    if len(owners) < 2:
        return waiting.order_by(*OLDEST_FIRST)
    of_owner = Window(RowNumber(), partition_by=["owner"], order_by=[F("priority").desc(), "created_at", "pk"])
    taken = Case(*(When(owner=owner, then=Value(running)) for owner, running in owners), default=Value(0))
    rank = Case(*(When(owner=owner, then=Value(place)) for place, (owner, _) in enumerate(owners)), default=Value(0))
    return waiting.annotate(turn=of_owner + taken, owner_rank=rank).order_by(
        "-priority", "turn", "owner_rank", "created_at", "pk"
    )
