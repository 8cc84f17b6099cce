from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0010_lost_processes"),
    ]

    operations = [
        migrations.AddField(
            model_name="dataset",
            name="digests",
            field=models.JSONField(default=dict, editable=False),
        ),
    ]
