"""What Django and the OpenAPI schema derive from the declarations of a process: columns and properties.

The programs that declare one thing more (added_hyperparameter, added_source) import this module once Django is set up.
"""

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from drf_spectacular.generators import SchemaGenerator


def missing_columns() -> list[str]:
    """The operations that `manage.py makemigrations` would write."""
    loader = MigrationLoader(None)
    found = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
    return [
        operation.describe()
        for migrations in found.values()
        for migration in migrations
        for operation in migration.operations
    ]


def schema_properties(name: str) -> dict:
    """{schema: description of the property of this name} over all schemas that have one."""
    schemas = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
    properties = {title: schema.get("properties", {}) for title, schema in schemas.items()}
    return {title: described[name] for title, described in properties.items() if name in described}
