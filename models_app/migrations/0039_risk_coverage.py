"""The risk-coverage curve of an evaluation, and a trigger: snapshots are cached with what an evaluation fitted
(digits_project/common/row_cache.py)."""

from django.db import migrations, models

TRIGGER = """
CREATE TRIGGER digits_rows_changed AFTER INSERT OR UPDATE OF temperature, unsure_below, epoch, split OR DELETE OR TRUNCATE
ON models_app_evaluation FOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();
"""


class Migration(migrations.Migration):
    dependencies = [("models_app", "0038_temperature")]

    operations = [
        migrations.AddField(
            model_name="evaluation",
            name="risk_coverage",
            field=models.JSONField(default=list, editable=False),
        ),
        migrations.AddField(
            model_name="evaluation",
            name="unsure_below",
            field=models.FloatField(editable=False, help_text="0 to 1", null=True),
        ),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER digits_rows_changed ON models_app_evaluation;"),
    ]
