from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('models_app', '0009_weights_taken_over'),
    ]

    operations = [
        migrations.RenameField('trainedmodel', 'losses', 'lost_processes'),
        migrations.RenameField('evaluation', 'losses', 'lost_processes'),
    ]
