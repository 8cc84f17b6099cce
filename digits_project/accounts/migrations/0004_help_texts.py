"""Help texts and names of choices only: the tables do not change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_oidc_identity"),
    ]

    operations = [
        migrations.AlterField(
            model_name="accesstoken",
            name="expires_at",
            field=models.DateTimeField(
                blank=True, help_text="UTC; empty: the token works until it is withdrawn.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="accesstoken",
            name="last_used_at",
            field=models.DateTimeField(editable=False, help_text="Rounded to the minute.", null=True),
        ),
        migrations.AlterField(
            model_name="accesstoken",
            name="name",
            field=models.CharField(help_text="What the token is for, such as the script that uses it.", max_length=100),
        ),
        migrations.AlterField(
            model_name="accesstoken",
            name="scope",
            field=models.CharField(
                choices=[
                    ("read", "read: look at jobs, download models"),
                    ("infer", "infer: also classify images with models"),
                    ("all", "all: everything that the user may do"),
                ],
                default="all",
                max_length=5,
            ),
        ),
        migrations.AlterField(
            model_name="oidcidentity",
            name="issuer",
            field=models.CharField(help_text="The provider's address, as in DIGITS_OIDC_ISSUER.", max_length=255),
        ),
        migrations.AlterField(
            model_name="oidcidentity",
            name="subject",
            field=models.CharField(help_text="The provider's name for the user: the claim `sub`.", max_length=255),
        ),
    ]
