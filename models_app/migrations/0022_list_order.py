from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('datasets', '0015_list_order'),
        ('models_app', '0021_fine_tuning'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='evaluation',
            index=models.Index(models.Case(models.When(status='Running', then=0), default=1), models.OrderBy(models.F('created_at'), descending=True), name='evaluation_list'),
        ),
        migrations.AddIndex(
            model_name='trainedmodel',
            index=models.Index(models.Case(models.When(status='Running', then=0), default=1), models.OrderBy(models.F('created_at'), descending=True), name='trainedmodel_list'),
        ),
    ]
