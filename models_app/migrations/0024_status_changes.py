"""The trigger of models reports changes of the status too: it decides which snapshot answers (results.chosen)."""

from django.db import migrations

TRIGGER = """
DROP TRIGGER digits_rows_changed ON models_app_trainedmodel;
CREATE TRIGGER digits_rows_changed AFTER UPDATE OF {columns} OR DELETE OR TRUNCATE ON models_app_trainedmodel
FOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('models_app', '0023_pretrained_models'),
    ]

    operations = [
        migrations.RunSQL(
            TRIGGER.format(columns='name, owner, dataset_id, status'),
            TRIGGER.format(columns='name, owner, dataset_id'),
        )
    ]
