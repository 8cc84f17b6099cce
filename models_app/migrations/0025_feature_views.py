import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Models that are there already keep training without cached features."""

    dependencies = [("models_app", "0024_status_changes")]

    operations = [
        migrations.AddField(
            model_name="trainedmodel",
            name="feature_views",
            field=models.PositiveIntegerField(
                blank=True, default=0, null=True, validators=[django.core.validators.MaxValueValidator(16)]
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="feature_views",
            field=models.PositiveIntegerField(
                blank=True, null=True, validators=[django.core.validators.MaxValueValidator(16)]
            ),
        ),
    ]
