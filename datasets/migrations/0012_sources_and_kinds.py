"""The choices of `kind` and `method` come from the registries: the table itself does not change."""

from django.db import migrations, models

import datasets.kinds.dataset_kind
import datasets.sources.source


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0011_digests"),
    ]

    operations = [
        migrations.AlterField(
            model_name="dataset",
            name="kind",
            field=models.CharField(
                choices=datasets.kinds.dataset_kind.kind_choices,
                default="classification",
                editable=False,
                max_length=14,
            ),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="method",
            field=models.CharField(choices=datasets.sources.source.method_choices, default="folder", max_length=8),
        ),
    ]
