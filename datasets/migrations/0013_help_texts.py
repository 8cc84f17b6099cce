"""Help texts and names of choices only: the tables do not change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("datasets", "0012_sources_and_kinds"),
    ]

    operations = [
        migrations.AlterField(
            model_name="dataset",
            name="disk_bytes",
            field=models.BigIntegerField(
                editable=False, help_text="Bytes in the job's folder; empty: not measured yet.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="lost_processes",
            field=models.PositiveSmallIntegerField(
                default=0, editable=False, help_text="How many processes the job has lost since it last made progress."
            ),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="priority",
            field=models.SmallIntegerField(default=0, help_text="Jobs with a higher priority run first."),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="resize_mode",
            field=models.CharField(
                choices=[
                    ("crop", "scale until it covers the size, cut the rest"),
                    ("squash", "change the aspect ratio"),
                    ("fill", "scale until it fits, pad the rest"),
                    ("half_crop", "half way between crop and fill"),
                ],
                default="squash",
                max_length=9,
            ),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="seed",
            field=models.PositiveIntegerField(default=0, help_text="Decides the splits and the order of the images."),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="shared_with",
            field=models.ManyToManyField(
                blank=True,
                help_text="Groups whose members can also see the job on a private server (DIGITS_PRIVATE).",
                related_name="+",
                to="auth.group",
            ),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="skipped",
            field=models.PositiveIntegerField(default=0, editable=False, help_text="Files that could not be used."),
        ),
    ]
