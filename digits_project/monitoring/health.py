"""The health checks /healthz (the process lives) and /readyz (it can serve a request now)."""

from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from digits_project.api.exception_handler import RETRY_SECONDS
from digits_project.jobs.scheduling import queues


@never_cache
@require_safe
def healthz(request) -> HttpResponse:
    """200 as long as the web process responds. Restart the process if it does not."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@never_cache
@require_safe
def readyz(request) -> JsonResponse:
    """200 if database, Redis and migrations are ready, else 503: send no requests meanwhile. Names what is missing."""
    found = {"database": _database(), "migrations": _migrations(), "redis": _redis()}
    ready = all(found.values())
    states = {name: "ok" if good else "missing" for name, good in found.items()}
    headers = {} if ready else {"Retry-After": str(RETRY_SECONDS)}
    return JsonResponse(states, status=200 if ready else 503, headers=headers, json_dumps_params={"indent": 2})


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _migrations() -> bool:
    """Whether all migrations of this version are applied."""
    try:
        return _newest_migrations() <= MigrationRecorder(connection).applied_migrations().keys()
    except DatabaseError:
        return False


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """App and name of each app's last migration, read once from the files, which takes 0.1 s."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _redis() -> bool:
    try:
        return bool(queues.connection().ping())
    except RedisError:
        return False
