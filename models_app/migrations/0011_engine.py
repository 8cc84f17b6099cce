from django.db import migrations, models

import models_app.choices


class Migration(migrations.Migration):

    dependencies = [
        ('models_app', '0010_lost_processes'),
    ]

    operations = [
        migrations.AddField(
            model_name='trainedmodel',
            name='engine',
            field=models.CharField(choices=models_app.choices.engine_names, default='auto', help_text='auto: the first that can train it.', max_length=20),
        ),
        migrations.AddField(
            model_name='trainedmodel',
            name='usable_engines',
            field=models.JSONField(blank=True, default=list, editable=False),
        ),
        migrations.AddField(
            model_name='trainedmodel',
            name='engine_used',
            field=models.CharField(blank=True, editable=False, help_text='With its version.', max_length=100),
        ),
    ]
