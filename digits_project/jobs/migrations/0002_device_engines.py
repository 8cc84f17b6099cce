from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='device',
            name='engines',
            field=models.JSONField(blank=True, help_text='The engines that can use it; empty: its host has not reported them.', null=True),
        ),
    ]
