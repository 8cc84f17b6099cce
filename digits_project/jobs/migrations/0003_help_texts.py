"""Help texts and names of choices only: the tables do not change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_device_engines"),
    ]

    operations = [
        migrations.AlterField(
            model_name="device",
            name="enabled",
            field=models.BooleanField(
                default=True, help_text="Off: no new job gets the device; the job that holds it continues."
            ),
        ),
        migrations.AlterField(
            model_name="device",
            name="engines",
            field=models.JSONField(
                blank=True,
                help_text="The engines that can use the device; empty: its host has not reported them.",
                null=True,
            ),
        ),
    ]
