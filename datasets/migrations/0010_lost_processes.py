from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0009_shared_with'),
    ]

    operations = [
        migrations.RenameField('dataset', 'losses', 'lost_processes'),
    ]
