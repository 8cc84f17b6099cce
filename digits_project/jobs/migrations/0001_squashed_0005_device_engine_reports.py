"""The migrations up to 0005 as one, for new homes: it takes a third of their time. Old homes run the others."""

from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('jobs', '0001_initial'), ('jobs', '0002_device_engines'), ('jobs', '0003_help_texts'), ('jobs', '0004_device_weights'), ('jobs', '0005_device_engine_reports')]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Device',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('host', models.CharField(max_length=255)),
                ('type', models.CharField(choices=[('cpu', 'CPU'), ('gpu', 'GPU')], max_length=3)),
                ('index', models.PositiveSmallIntegerField(default=0, help_text="The GPU's number on its host; 0 for the CPU.")),
                ('model_name', models.CharField(blank=True, max_length=200)),
                ('memory', models.BigIntegerField(default=0, help_text='Bytes.')),
                ('compute_capability', models.CharField(blank=True, max_length=8)),
                ('enabled', models.BooleanField(default=True, help_text='Off: no new job gets the device; the job that holds it continues.')),
                ('leased_to', models.CharField(blank=True, db_index=True, editable=False, max_length=20)),
                ('engines', models.JSONField(blank=True, help_text='The engines that can use the device; empty: its host has not reported them.', null=True)),
                ('weights', models.JSONField(blank=True, help_text='The weights installed on its host; empty: its host has not reported them.', null=True)),
                ('engine_reports', models.JSONField(blank=True, default=dict, editable=False)),
            ],
            options={
                'ordering': ['host', '-type', 'index'],
                'constraints': [models.UniqueConstraint(fields=('host', 'type', 'index'), name='device_once')],
            },
        ),
    ]
