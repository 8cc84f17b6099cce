"""Triggers that notify the processes that cache snapshots, or who may see a model (digits_project/common/row_cache.py).

Of a model these are the columns that inference uses; trainings write others, as their progress, every second.
"""

from django.db import migrations

TRIGGER = """
CREATE TRIGGER digits_rows_changed AFTER {changes} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();
"""
TABLES = {
    'models_app_trainedmodel': 'UPDATE OF name, owner, dataset_id OR DELETE OR TRUNCATE',
    'models_app_trainedmodel_shared_with': 'INSERT OR UPDATE OR DELETE OR TRUNCATE',
    'models_app_snapshot': 'INSERT OR UPDATE OR DELETE OR TRUNCATE',
}


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_row_changes'),
        ('models_app', '0014_help_texts'),
    ]

    operations = [
        migrations.RunSQL(TRIGGER.format(table=table, changes=changes), f'DROP TRIGGER digits_rows_changed ON {table};')
        for table, changes in TABLES.items()
    ]
