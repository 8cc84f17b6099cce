"""Help texts and names of choices only: the tables do not change."""

import django.core.validators
import models_app.choices
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("models_app", "0013_engine_used"),
    ]

    operations = [
        migrations.AlterField(
            model_name="evaluation",
            name="disk_bytes",
            field=models.BigIntegerField(
                editable=False, help_text="Bytes in the job's folder; empty: not measured yet.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="evaluation",
            name="epoch",
            field=models.FloatField(help_text="The epoch of the snapshot."),
        ),
        migrations.AlterField(
            model_name="evaluation",
            name="lost_processes",
            field=models.PositiveSmallIntegerField(
                default=0, editable=False, help_text="How many processes the job has lost since it last made progress."
            ),
        ),
        migrations.AlterField(
            model_name="evaluation",
            name="priority",
            field=models.SmallIntegerField(default=0, help_text="Jobs with a higher priority run first."),
        ),
        migrations.AlterField(
            model_name="evaluation",
            name="shared_with",
            field=models.ManyToManyField(
                blank=True,
                help_text="Groups whose members can also see the job on a private server (DIGITS_PRIVATE).",
                related_name="+",
                to="auth.group",
            ),
        ),
        migrations.AlterField(
            model_name="metric",
            name="iteration",
            field=models.PositiveIntegerField(default=0, help_text="Batches trained up to the measurement."),
        ),
        migrations.AlterField(
            model_name="metric",
            name="outputs",
            field=models.JSONField(default=dict, help_text="The network's other losses and accuracies, by name."),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="iteration",
            field=models.PositiveIntegerField(default=0, help_text="Batches trained up to the snapshot."),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="keep",
            field=models.BooleanField(
                default=False, help_text="Never deleted automatically, whatever keep_snapshots is."
            ),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="max_difference",
            field=models.FloatField(
                help_text="The largest difference between the outputs of the engine and of ONNX Runtime.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="balance_classes",
            field=models.BooleanField(
                default=False, help_text="Whether all categories have the same weight in the loss."
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="custom_network_snapshot",
            field=models.CharField(blank=True, help_text="The weights that the training starts from.", max_length=4096),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="disk_bytes",
            field=models.BigIntegerField(
                editable=False, help_text="Bytes in the job's folder; empty: not measured yet.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="early_stop_patience",
            field=models.PositiveIntegerField(
                default=0,
                help_text="Validations without improvement before the training stops; 0: never.",
                validators=[django.core.validators.MaxValueValidator(100000)],
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="engine",
            field=models.CharField(
                choices=models_app.choices.engine_names,
                default="auto",
                help_text="auto: the first engine that can train it.",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="engine_used",
            field=models.CharField(blank=True, editable=False, help_text="The engine and its version.", max_length=100),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="keep_snapshots",
            field=models.PositiveIntegerField(
                default=0,
                help_text="How many of the newest to keep, besides the best; 0: all.",
                validators=[django.core.validators.MaxValueValidator(100000)],
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="lost_processes",
            field=models.PositiveSmallIntegerField(
                default=0, editable=False, help_text="How many processes the job has lost since it last made progress."
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="method",
            field=models.CharField(
                choices=[
                    ("standard", "a published network"),
                    ("previous", "the network of another model"),
                    ("custom", "your own network, as Caffe prototxt"),
                ],
                default="standard",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="previous_epoch",
            field=models.FloatField(
                blank=True, help_text="The epoch of the previous model's snapshot; empty: random weights.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="priority",
            field=models.SmallIntegerField(default=0, help_text="Jobs with a higher priority run first."),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="resumed_from",
            field=models.FloatField(
                default=0,
                editable=False,
                help_text="The fraction that was done when the training last started: 0 to 1.",
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="rms_decay",
            field=models.FloatField(
                default=0.99,
                help_text="Only for RMSPROP.",
                validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)],
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="select_gpu_count",
            field=models.PositiveSmallIntegerField(
                default=1,
                help_text="How many GPUs, any free ones.",
                validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(64)],
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="select_gpus",
            field=models.JSONField(blank=True, default=list, help_text="The numbers of the GPUs to train on."),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="shared_with",
            field=models.ManyToManyField(
                blank=True,
                help_text="Groups whose members can also see the job on a private server (DIGITS_PRIVATE).",
                related_name="+",
                to="auth.group",
            ),
        ),
        migrations.AlterField(
            model_name="trainedmodel",
            name="stopped_epoch",
            field=models.FloatField(
                editable=False, help_text="The epoch at which early_stop_patience ended the training.", null=True
            ),
        ),
    ]
