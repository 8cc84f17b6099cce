from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('datasets', '0014_row_changes'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(models.Case(models.When(status='Running', then=0), default=1), models.OrderBy(models.F('created_at'), descending=True), name='dataset_list'),
        ),
    ]
