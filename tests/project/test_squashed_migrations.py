"""New homes run the squashed migrations, old ones the single ones. Both end with the same tables."""

import re

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tests.support.samples.single_migrations import SingleMigrations, migrate_singly, old_home

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow(2)]

# What earlier versions had applied.
OLD_HOMES = {
    "first": [("datasets", "0001_initial"), ("models_app", "0001_initial"), ("jobs", "0001_initial")],
    "middle": [
        ("datasets", "0009_shared_with"),
        ("models_app", "0008_shared_with"),
        ("accounts", "0002_token_scope_and_expiry"),
    ],
}
# What an earlier version had applied, whose squashed migrations are gone.
OLD_SQUASHED = {
    ("jobs", "0001_squashed_0003_help_texts"),
    ("datasets", "0001_squashed_0014_row_changes"),
    ("models_app", "0001_squashed_0016_lr_warmup"),
}
AFTER_OLD_SQUASHED = [
    ("jobs", "0003_help_texts"),
    ("datasets", "0015_list_order"),
    ("models_app", "0022_list_order"),
    ("accounts", "0005_row_changes"),
]
# Checks and NOT NULL without their names: a column that was renamed has constraints of its old name.
TABLES = {
    "columns": """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity
        FROM information_schema.columns WHERE table_schema = %s""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = %s",
    "constraints": """
        SELECT conrelid::regclass::text, CASE WHEN contype NOT IN ('c', 'n') THEN conname END, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = to_regnamespace(%s)""",
    "triggers": """
        SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = to_regnamespace(%s)""",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = to_regnamespace(%s)",
}


@pytest.fixture
def new_home():
    """The tables that the squashed migrations made for the tests, and the names of the applied migrations."""
    return tables("public"), applied()


@pytest.fixture
def _old_home(new_home):
    """An empty schema in place of the one with the tables of the tests."""
    with old_home():
        yield


def tables(schema):
    """All that makes the tables of a schema, without the order of their columns, which is that of the migrations."""
    found = set()
    with connection.cursor() as cursor:
        for part, query in TABLES.items():
            cursor.execute(query, [schema])
            found |= {f"{part}: {row}".replace(f"{schema}.", "") for row in cursor.fetchall()}
    return found


def applied():
    return set(MigrationRecorder(connection).applied_migrations())


def test_single_and_squashed_migrations_make_the_same_models():
    single, squashed = SingleMigrations(None), MigrationLoader(None)
    for before, after in ((single, squashed), (squashed, single)):
        found = MigrationAutodetector(before.project_state(), after.project_state()).changes(after.graph)
        assert found == {}


@pytest.mark.usefixtures("_old_home")
@pytest.mark.parametrize("nodes", OLD_HOMES.values(), ids=OLD_HOMES)
def test_an_old_home_is_upgraded_to_the_tables_of_a_new_one(new_home, nodes):
    migrate_singly(nodes)
    call_command("migrate", interactive=False, verbosity=0)
    assert tables("old_home") == new_home[0]
    assert applied() == new_home[1]


@pytest.mark.usefixtures("_old_home")
def test_a_home_that_an_earlier_versions_squashed_migrations_made_is_upgraded(new_home):
    migrate_singly(AFTER_OLD_SQUASHED)
    for app, name in OLD_SQUASHED:
        MigrationRecorder(connection).record_applied(app, name)
    call_command("migrate", interactive=False, verbosity=0)
    assert tables("old_home") == new_home[0]
    assert applied() == new_home[1] | OLD_SQUASHED


@pytest.mark.usefixtures("_old_home")
def test_a_home_with_all_single_migrations_has_the_tables_of_the_squashed_ones_and_takes_them_for_applied(new_home):
    migrate_singly()
    assert tables("old_home") == new_home[0]
    assert applied() < new_home[1]
    call_command("migrate", interactive=False, verbosity=0)
    assert applied() == new_home[1]


@pytest.mark.usefixtures("_old_home")
def test_a_new_home_runs_one_migration_in_place_of_the_first_ones_of_each_app(new_home, capsys):
    call_command("migrate", interactive=False)
    ran = re.findall(r"Applying (\w+)\.(\w+)\.\.\. OK", capsys.readouterr().out)
    assert {app for app, name in ran if "_squashed_" in name} == {"accounts", "datasets", "jobs", "models_app"}
    assert ("models_app", "0001_initial") not in ran
    assert tables("old_home") == new_home[0]
    assert applied() == new_home[1]
