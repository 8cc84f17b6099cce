"""The layout of the project: small folders, short modules, one meaning for each name.

The lists of exceptions can only shrink: an exception that is no longer needed fails its test until it is removed.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest
from importlinter.api import read_configuration

from tests.support.server import ROOT

MAX_MODULES = 15  # in a folder, without __init__
MAX_LINES = 300  # of a module

# Names that Python, pytest, Django and DRF give to modules: each app can have its own.
USUAL_MODULES = {
    *("__init__", "__main__", "conftest"),
    *("admin", "apps", "models", "serializers", "services", "tasks", "urls", "views"),
}
USUAL_CLASSES = {"Command"}  # of a management command, by Django's rule

PRODUCT = ("digits_project", "datasets", "models_app", "inference")
ALL = (*PRODUCT, "client", "tests", "benchmarks")
GENERATED = {"migrations", "__pycache__", "commands"}  # made by Django, or named by it

# The packages whose parts all have to be in a layer, and the parts that need none.
CONTAINERS = [
    "datasets",
    "digits_project",
    "digits_project.jobs",
    "inference",
    "models_app",
    "models_app.training.augmentation",
]
WITHOUT_LAYER = {"apps", "migrations"}


def modules(*folders):
    """The paths of all modules below these folders, without migrations and commands."""
    found = sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [path for path in found if not GENERATED.intersection(path.parts)]


def repeated(names):
    return {name for name, number in Counter(names).items() if number > 1}


def public_classes(path):
    """The names of the top-level classes of a module that don't begin with an underscore."""
    body = ast.parse((ROOT / path).read_text()).body
    return [node.name for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def layer_contracts():
    """The contracts on the parts of a package, by the name of that package."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    return {container: contract for contract in contracts for container in contract.get("containers", ())}


def test_no_folder_holds_more_than_fifteen_modules():
    sizes = Counter(str(path.parent) for path in modules(*ALL) if path.stem != "__init__")
    assert {folder for folder, size in sizes.items() if size > MAX_MODULES} == set()


def test_no_module_is_longer_than_three_hundred_lines():
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in modules(*ALL)}
    assert {path for path, length in lengths.items() if length > MAX_LINES} == set()


def test_no_two_modules_of_the_product_have_the_same_name():
    assert repeated(path.stem for path in modules(*PRODUCT)) - USUAL_MODULES == set()


def test_no_two_modules_of_the_tests_have_the_same_name():
    assert repeated(path.stem for path in modules("tests")) - USUAL_MODULES == set()


def test_no_two_public_classes_of_the_product_have_the_same_name():
    names = [name for path in modules(*PRODUCT) for name in public_classes(path)]
    assert repeated(names) - USUAL_CLASSES == set()


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for path in modules(*PRODUCT, "tests")}
    assert [folder for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


def test_the_import_contracts_cover_the_packages_of_the_product():
    options = read_configuration(str(ROOT / "pyproject.toml"))["session_options"]
    assert sorted(options["root_packages"]) == sorted(PRODUCT)
    assert sorted(layer_contracts()) == CONTAINERS


@pytest.mark.parametrize("package", CONTAINERS)
def test_each_part_of_a_package_is_in_a_layer(package):
    contract = layer_contracts()[package]
    layers = {name.strip(" ()") for layer in contract["layers"] for name in layer.split("|")}
    folder = ROOT / Path(*package.split("."))
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert contract["exhaustive"] == "True"
    assert parts - layers - WITHOUT_LAYER == {"__init__"}
