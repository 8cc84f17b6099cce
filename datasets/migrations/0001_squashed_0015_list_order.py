"""The migrations up to 0015 as one, for new homes: it takes a third of their time. Old homes run the others."""

import datasets.kinds.dataset_kind
import datasets.sources.source
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('datasets', '0001_initial'), ('datasets', '0002_textfile'), ('datasets', '0003_generic'), ('datasets', '0004_losses'), ('datasets', '0005_archive'), ('datasets', '0006_alpha_and_depth'), ('datasets', '0007_copies'), ('datasets', '0008_disk_bytes'), ('datasets', '0009_shared_with'), ('datasets', '0010_lost_processes'), ('datasets', '0011_digests'), ('datasets', '0012_sources_and_kinds'), ('datasets', '0013_help_texts'), ('datasets', '0014_row_changes'), ('datasets', '0015_list_order')]

    initial = True

    dependencies = [
        ('accounts', '0005_row_changes'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('job_id', models.CharField(editable=False, max_length=20, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=255)),
                ('notes', models.TextField(blank=True)),
                ('owner', models.CharField(blank=True, max_length=150)),
                ('priority', models.SmallIntegerField(default=0, help_text='Jobs with a higher priority run first.')),
                ('status', models.CharField(choices=[('Initialized', 'Initialized'), ('Waiting', 'Waiting'), ('Running', 'Running'), ('Done', 'Done'), ('Aborted', 'Aborted'), ('Error', 'Error')], default='Initialized', editable=False, max_length=11)),
                ('status_history', models.JSONField(default=list, editable=False)),
                ('progress', models.FloatField(default=0, editable=False, help_text='0 to 1', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)])),
                ('error', models.TextField(blank=True, editable=False)),
                ('worker', models.CharField(blank=True, editable=False, max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(editable=False, null=True)),
                ('ended_at', models.DateTimeField(editable=False, null=True)),
                ('heartbeat_at', models.DateTimeField(editable=False, null=True)),
                ('abort_requested_at', models.DateTimeField(editable=False, null=True)),
                ('resize_channels', models.PositiveSmallIntegerField(choices=[(1, 'grayscale'), (3, 'color')], default=3)),
                ('resize_width', models.PositiveIntegerField(default=256, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(4096)])),
                ('resize_height', models.PositiveIntegerField(default=256, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(4096)])),
                ('resize_mode', models.CharField(choices=[('crop', 'scale until it covers the size, cut the rest'), ('squash', 'change the aspect ratio'), ('fill', 'scale until it fits, pad the rest'), ('half_crop', 'half way between crop and fill')], default='squash', max_length=9)),
                ('encoding', models.CharField(choices=[('none', 'none'), ('png', 'PNG (lossless)'), ('jpg', 'JPEG (lossy)')], default='png', max_length=4)),
                ('folder_train', models.CharField(blank=True, max_length=4096)),
                ('folder_val', models.CharField(blank=True, max_length=4096)),
                ('folder_test', models.CharField(blank=True, max_length=4096)),
                ('folder_pct_val', models.FloatField(default=25, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)])),
                ('folder_pct_test', models.FloatField(default=0, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)])),
                ('folder_train_min_per_class', models.PositiveIntegerField(default=2, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2147483647)])),
                ('folder_train_max_per_class', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2147483647)])),
                ('folder_val_min_per_class', models.PositiveIntegerField(default=2, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2147483647)])),
                ('folder_val_max_per_class', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2147483647)])),
                ('folder_test_min_per_class', models.PositiveIntegerField(default=2, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2147483647)])),
                ('folder_test_max_per_class', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(2147483647)])),
                ('seed', models.PositiveIntegerField(default=0, help_text='Decides the splits and the order of the images.')),
                ('categories', models.JSONField(default=list, editable=False)),
                ('splits', models.JSONField(default=list, editable=False)),
                ('skipped', models.PositiveIntegerField(default=0, editable=False, help_text='Files that could not be used.')),
                ('warnings', models.JSONField(default=list, editable=False)),
                ('kind', models.CharField(choices=datasets.kinds.dataset_kind.kind_choices, default='classification', editable=False, max_length=14)),
                ('method', models.CharField(choices=datasets.sources.source.method_choices, default='folder', max_length=8)),
                ('textfile_shuffle', models.BooleanField(default=True)),
                ('textfile_test_folder', models.CharField(blank=True, max_length=4096)),
                ('textfile_train_folder', models.CharField(blank=True, max_length=4096)),
                ('textfile_use_test', models.BooleanField(default=False)),
                ('textfile_use_val', models.BooleanField(default=False)),
                ('textfile_val_folder', models.CharField(blank=True, max_length=4096)),
                ('label_shape', models.JSONField(default=list, editable=False)),
                ('prebuilt_mean_file', models.CharField(blank=True, max_length=4096)),
                ('prebuilt_train_images', models.CharField(blank=True, max_length=4096)),
                ('prebuilt_train_labels', models.CharField(blank=True, max_length=4096)),
                ('prebuilt_val_images', models.CharField(blank=True, max_length=4096)),
                ('prebuilt_val_labels', models.CharField(blank=True, max_length=4096)),
                ('lost_processes', models.PositiveSmallIntegerField(default=0, editable=False, help_text='How many processes the job has lost since it last made progress.')),
                ('archive_train', models.CharField(blank=True, editable=False, max_length=255)),
                ('alpha_background', models.CharField(default='white', max_length=7)),
                ('depth', models.CharField(choices=[('auto', 'the range that the images use'), ('full', 'the whole range of 16 bits')], default='auto', max_length=4)),
                ('white_level', models.PositiveIntegerField(default=65535, editable=False)),
                ('skipped_reasons', models.JSONField(default=dict, editable=False)),
                ('copies', models.JSONField(default=dict, editable=False)),
                ('disk_bytes', models.BigIntegerField(editable=False, help_text="Bytes in the job's folder; empty: not measured yet.", null=True)),
                ('shared_with', models.ManyToManyField(blank=True, help_text='Groups whose members can also see the job on a private server (DIGITS_PRIVATE).', related_name='+', to='auth.group')),
                ('digests', models.JSONField(default=dict, editable=False)),
            ],
            options={
                'ordering': ['-created_at'],
                'abstract': False,
                'indexes': [models.Index(fields=['status', '-priority', 'created_at'], name='dataset_queue'), models.Index(models.Case(models.When(status='Running', then=0), default=1), models.OrderBy(models.F('created_at'), descending=True), name='dataset_list')],
            },
        ),
        migrations.RunSQL(
            sql='\nCREATE TRIGGER digits_rows_changed AFTER UPDATE OF\n    name, kind, categories, resize_width, resize_height, resize_channels, resize_mode, alpha_background, white_level\nOR DELETE OR TRUNCATE ON datasets_dataset\nFOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();\n',
            reverse_sql='DROP TRIGGER digits_rows_changed ON datasets_dataset;',
        ),
    ]
