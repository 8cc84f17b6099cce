from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("models_app", "0036_group_name")]

    operations = [
        migrations.AddField(
            model_name="trainedmodel",
            name="stop_requested_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When a user asked to end the training early and keep its best snapshot.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="trainedmodel",
            name="device_use",
            field=models.JSONField(default=dict, editable=False),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="stopped_epoch",
            field=models.FloatField(
                editable=False,
                help_text="The epoch at which the training ended early, by early_stop_patience or on request.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="evaluation",
            name="calibration",
            field=models.JSONField(default=list, editable=False),
        ),
    ]
