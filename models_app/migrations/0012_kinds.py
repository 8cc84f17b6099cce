"""The choices of `kind` come from the registry: the table itself does not change."""

from django.db import migrations, models

import models_app.kinds.model_kind


class Migration(migrations.Migration):
    dependencies = [
        ("models_app", "0011_engine"),
    ]

    operations = [
        migrations.AlterField(
            model_name="trainedmodel",
            name="kind",
            field=models.CharField(
                choices=models_app.kinds.model_kind.kind_choices,
                default="classification",
                editable=False,
                max_length=14,
            ),
        ),
    ]
