"""The migrations one by one, as homes had them that are older than the squashed ones."""

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader


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


def migrate_from(app: str, name: str) -> None:
    """Undo the migrations of an app after `name` and those of other apps that need them, and apply all again."""
    single_executor(connection).migrate([(app, name)])
    executor = single_executor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
