"""The migrations up to 0016 as one, for new homes: it takes a third of their time. Old homes run the others."""

import django.core.validators
import django.db.models.deletion
import models_app.choices
import models_app.kinds.model_kind
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('models_app', '0001_initial'), ('models_app', '0002_methods_and_generic'), ('models_app', '0003_losses'), ('models_app', '0004_evaluation'), ('models_app', '0005_resumed_from'), ('models_app', '0006_most_confused'), ('models_app', '0007_disk_bytes'), ('models_app', '0008_shared_with'), ('models_app', '0009_weights_taken_over'), ('models_app', '0010_lost_processes'), ('models_app', '0011_engine'), ('models_app', '0012_kinds'), ('models_app', '0013_engine_used'), ('models_app', '0014_help_texts'), ('models_app', '0015_row_changes'), ('models_app', '0016_lr_warmup')]

    initial = True

    dependencies = [
        ('accounts', '0005_row_changes'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('datasets', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='TrainedModel',
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
                ('standard_network', models.CharField(blank=True, choices=models_app.choices.standard_networks, max_length=40)),
                ('framework', models.CharField(choices=models_app.choices.frameworks, default='mxnet', max_length=20)),
                ('train_epochs', models.PositiveIntegerField(default=30, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100000)])),
                ('snapshot_interval', models.FloatField(default=1, help_text='Epochs; 0: only at the end.', validators=[django.core.validators.MinValueValidator(0.0)])),
                ('val_interval', models.FloatField(default=1, help_text='Epochs; 0: never.', validators=[django.core.validators.MinValueValidator(0.0)])),
                ('batch_size', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100000)])),
                ('random_seed', models.PositiveBigIntegerField(blank=True, null=True, validators=[django.core.validators.MaxValueValidator(4294967295)])),
                ('solver_type', models.CharField(choices=models_app.choices.solver_types, default='SGD', max_length=10)),
                ('learning_rate', models.FloatField(default=0.01)),
                ('lr_policy', models.CharField(choices=models_app.choices.lr_policies, default='step', max_length=10)),
                ('lr_parameters', models.JSONField(blank=True, default=dict)),
                ('use_mean', models.CharField(choices=[('none', 'none'), ('image', 'image'), ('pixel', 'pixel')], default='image', max_length=5)),
                ('batch_accumulation', models.PositiveIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(10000)])),
                ('crop_size', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('custom_network', models.TextField(blank=True)),
                ('custom_network_snapshot', models.CharField(blank=True, help_text='The weights that the training starts from.', max_length=4096)),
                ('kind', models.CharField(choices=models_app.kinds.model_kind.kind_choices, default='classification', editable=False, max_length=14)),
                ('method', models.CharField(choices=[('standard', 'a published network'), ('previous', 'the network of another model'), ('custom', 'your own network, as Caffe prototxt')], default='standard', max_length=8)),
                ('previous_categories', models.PositiveIntegerField(blank=True, editable=False, null=True)),
                ('previous_epoch', models.FloatField(blank=True, help_text="The epoch of the previous model's snapshot; empty: random weights.", null=True)),
                ('previous_network', models.JSONField(blank=True, editable=False, null=True)),
                ('rms_decay', models.FloatField(default=0.99, help_text='Only for RMSPROP.', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)])),
                ('select_gpu_count', models.PositiveSmallIntegerField(default=1, help_text='How many GPUs, any free ones.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(64)])),
                ('select_gpus', models.JSONField(blank=True, default=list, help_text='The numbers of the GPUs to train on.')),
                ('balance_classes', models.BooleanField(default=False, help_text='Whether all categories have the same weight in the loss.')),
                ('early_stop_patience', models.PositiveIntegerField(default=0, help_text='Validations without improvement before the training stops; 0: never.', validators=[django.core.validators.MaxValueValidator(100000)])),
                ('keep_snapshots', models.PositiveIntegerField(default=0, help_text='How many of the newest to keep, besides the best; 0: all.', validators=[django.core.validators.MaxValueValidator(100000)])),
                ('stopped_epoch', models.FloatField(editable=False, help_text='The epoch at which early_stop_patience ended the training.', null=True)),
                ('resumed_from', models.FloatField(default=0, editable=False, help_text='The fraction that was done when the training last started: 0 to 1.')),
                ('disk_bytes', models.BigIntegerField(editable=False, help_text="Bytes in the job's folder; empty: not measured yet.", null=True)),
                ('afresh', models.JSONField(default=list, editable=False)),
                ('taken_over', models.JSONField(default=list, editable=False)),
                ('warnings', models.JSONField(default=list, editable=False)),
                ('lost_processes', models.PositiveSmallIntegerField(default=0, editable=False, help_text='How many processes the job has lost since it last made progress.')),
                ('engine', models.CharField(choices=models_app.choices.engine_names, default='auto', help_text='auto: the first engine that can train it.', max_length=20)),
                ('usable_engines', models.JSONField(blank=True, default=list, editable=False)),
                ('engine_used', models.CharField(blank=True, editable=False, help_text='The engine and its version.', max_length=100)),
                ('lr_warmup', models.FloatField(default=0.0, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)])),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='trained_models', to='datasets.dataset')),
                ('previous', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='successors', to='models_app.trainedmodel')),
                ('shared_with', models.ManyToManyField(blank=True, help_text='Groups whose members can also see the job on a private server (DIGITS_PRIVATE).', related_name='+', to='auth.group')),
            ],
            options={
                'verbose_name': 'model',
                'ordering': ['-created_at'],
                'abstract': False,
                'indexes': [models.Index(fields=['status', '-priority', 'created_at'], name='trainedmodel_queue')],
            },
        ),
        migrations.CreateModel(
            name='Snapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('epoch', models.FloatField()),
                ('folder', models.CharField(max_length=255)),
                ('max_difference', models.FloatField(help_text='The largest difference between the outputs of the engine and of ONNX Runtime.', null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('iteration', models.PositiveIntegerField(default=0, help_text='Batches trained up to the snapshot.')),
                ('keep', models.BooleanField(default=False, help_text='Never deleted automatically, whatever keep_snapshots is.')),
                ('trained_model', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='snapshots', to='models_app.trainedmodel')),
            ],
            options={
                'ordering': ['trained_model', 'epoch'],
                'constraints': [models.UniqueConstraint(fields=('trained_model', 'epoch'), name='snapshot_once')],
            },
        ),
        migrations.CreateModel(
            name='Metric',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('split', models.CharField(choices=[('train', 'Train'), ('val', 'Val')], max_length=5)),
                ('epoch', models.FloatField()),
                ('loss', models.FloatField()),
                ('accuracy', models.FloatField(help_text='0 to 1', null=True)),
                ('learning_rate', models.FloatField()),
                ('outputs', models.JSONField(default=dict, help_text="The network's other losses and accuracies, by name.")),
                ('iteration', models.PositiveIntegerField(default=0, help_text='Batches trained up to the measurement.')),
                ('trained_model', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='metrics', to='models_app.trainedmodel')),
            ],
            options={
                'ordering': ['trained_model', 'split', 'epoch'],
                'indexes': [models.Index(fields=['trained_model', 'split', 'epoch'], name='metric_curve')],
            },
        ),
        migrations.CreateModel(
            name='Evaluation',
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
                ('epoch', models.FloatField(help_text='The epoch of the snapshot.')),
                ('split', models.CharField(choices=[('val', 'Val'), ('test', 'Test')], max_length=4)),
                ('images', models.PositiveIntegerField(editable=False, null=True)),
                ('accuracy', models.FloatField(editable=False, help_text='0 to 1', null=True)),
                ('top_5_accuracy', models.FloatField(editable=False, help_text='0 to 1', null=True)),
                ('loss', models.FloatField(editable=False, null=True)),
                ('calibration_error', models.FloatField(editable=False, help_text='0 to 1', null=True)),
                ('categories', models.JSONField(default=list, editable=False)),
                ('confusion_matrix', models.JSONField(editable=False, null=True)),
                ('worst_errors', models.JSONField(default=list, editable=False)),
                ('most_confused', models.JSONField(default=list, editable=False)),
                ('disk_bytes', models.BigIntegerField(editable=False, help_text="Bytes in the job's folder; empty: not measured yet.", null=True)),
                ('lost_processes', models.PositiveSmallIntegerField(default=0, editable=False, help_text='How many processes the job has lost since it last made progress.')),
                ('shared_with', models.ManyToManyField(blank=True, help_text='Groups whose members can also see the job on a private server (DIGITS_PRIVATE).', related_name='+', to='auth.group')),
                ('trained_model', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='evaluations', to='models_app.trainedmodel')),
            ],
            options={
                'ordering': ['-created_at'],
                'abstract': False,
                'indexes': [models.Index(fields=['status', '-priority', 'created_at'], name='evaluation_queue')],
                'constraints': [models.UniqueConstraint(fields=('trained_model', 'epoch', 'split'), name='evaluation_once')],
            },
        ),
        migrations.RunSQL(
            sql='\nCREATE TRIGGER digits_rows_changed AFTER UPDATE OF name, owner, dataset_id OR DELETE OR TRUNCATE ON models_app_trainedmodel\nFOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();\n',
            reverse_sql='DROP TRIGGER digits_rows_changed ON models_app_trainedmodel;',
        ),
        migrations.RunSQL(
            sql='\nCREATE TRIGGER digits_rows_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON models_app_trainedmodel_shared_with\nFOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();\n',
            reverse_sql='DROP TRIGGER digits_rows_changed ON models_app_trainedmodel_shared_with;',
        ),
        migrations.RunSQL(
            sql='\nCREATE TRIGGER digits_rows_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON models_app_snapshot\nFOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();\n',
            reverse_sql='DROP TRIGGER digits_rows_changed ON models_app_snapshot;',
        ),
    ]
