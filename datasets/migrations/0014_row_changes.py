"""A trigger that notifies the processes that cache rows of datasets (digits_project/common/row_cache.py).

Its columns are those of inference.services.OF_DATASET. Builds write others, as their progress, every second.
"""

from django.db import migrations

TRIGGER = """
CREATE TRIGGER digits_rows_changed AFTER UPDATE OF
    name, kind, categories, resize_width, resize_height, resize_channels, resize_mode, alpha_background, white_level
OR DELETE OR TRUNCATE ON datasets_dataset
FOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_row_changes'),
        ('datasets', '0013_help_texts'),
    ]

    operations = [migrations.RunSQL(TRIGGER, 'DROP TRIGGER digits_rows_changed ON datasets_dataset;')]
