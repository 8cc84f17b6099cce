"""What transparency and 16-bit samples become. Datasets that are there already were built without either field: their
alpha channel was dropped and 16-bit samples kept their high byte, and so it stays. And how many files were skipped for each reason."""

from django.db import migrations, models

DEPTHS = [("auto", "the range that the images use"), ("full", "the whole range of 16 bits")]


class Migration(migrations.Migration):
    dependencies = [("datasets", "0005_archive")]

    operations = [
        migrations.AddField("dataset", "alpha_background", models.CharField(default="ignore", max_length=7)),
        migrations.AddField("dataset", "depth", models.CharField(choices=DEPTHS, default="full", max_length=4)),
        migrations.AddField("dataset", "white_level", models.PositiveIntegerField(default=65535, editable=False)),
        migrations.AddField("dataset", "skipped_reasons", models.JSONField(default=dict, editable=False)),
        migrations.AlterField("dataset", "alpha_background", models.CharField(default="white", max_length=7)),
        migrations.AlterField(
            "dataset", "depth", models.CharField(choices=DEPTHS, default="auto", max_length=4)
        ),
    ]
