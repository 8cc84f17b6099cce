"""The migrations one by one, as homes had them that are older than the squashed ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import StateApps


class SingleMigrations(MigrationLoader):
    """All migrations but the squashed ones. What depends on one of those depends on the last that it replaces."""

    def load_disk(self):
        super().load_disk()
        last = {key: migration.replaces[-1] for key, migration in self.disk_migrations.items() if migration.replaces}
        self.disk_migrations = {key: one for key, one in self.disk_migrations.items() if not one.replaces}
        for migration in self.disk_migrations.values():
            migration.dependencies = [last.get(tuple(needed), needed) for needed in migration.dependencies]


def single_executor(database: BaseDatabaseWrapper) -> MigrationExecutor:
    """An executor that knows only single migrations."""
    executor = MigrationExecutor(database)
    executor.loader = SingleMigrations(database)
    return executor


def migrate_singly(nodes: list[tuple[str, str]] | None = None) -> StateApps:
    """Apply single migrations up to these, or all. Returns the models as they are then."""
    executor = single_executor(connection)
    return executor.migrate(nodes or executor.loader.graph.leaf_nodes()).apps


@contextmanager
def old_home() -> Iterator[None]:
    """An empty schema in place of the one with the tables of the tests. The test has to be transactional."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA old_home")
        cursor.execute("SET search_path TO old_home")
        ContentType.objects.clear_cache()
        yield
        cursor.execute("RESET search_path")
        cursor.execute("DROP SCHEMA old_home CASCADE")
        ContentType.objects.clear_cache()
