"""Models that were trained before the column engine_used existed get the engine that trained them."""

from django.db import migrations
from django.db.models import Exists, OuterRef

ONLY_ENGINE = "mxnet 1.9.1"  # no other engine, and no other version of it, has trained models of this server till then
IMPORTED = "caffe"  # of a DIGITS server; import_digits takes models of no other library


def name_engines(apps, schema_editor):
    """A training measures itself before it writes its first snapshot; an imported model has snapshots and no measures."""
    models = apps.get_model("models_app", "TrainedModel").objects.filter(engine_used="")
    of_model = {
        name: Exists(apps.get_model("models_app", name).objects.filter(trained_model=OuterRef("pk")))
        for name in ("Metric", "Snapshot")
    }
    models.filter(of_model["Metric"]).update(engine_used=ONLY_ENGINE)
    models.filter(of_model["Snapshot"], ~of_model["Metric"]).update(engine_used=IMPORTED)


class Migration(migrations.Migration):
    dependencies = [
        ("models_app", "0012_kinds"),
    ]

    operations = [
        migrations.RunPython(name_engines, migrations.RunPython.noop, elidable=True),
    ]
