"""`digits revise`: images by options, and changes in files."""

import json

import pytest
from django.core.management import CommandError, call_command

from datasets.imagedb.revising.changes_file import read_changes
from datasets.models import Dataset
from digits_project.common.errors import BadInput
from digits_project.common.escaping import csv_line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
HEAD = "kind,split,record,likelier,action,to\n"


@pytest.mark.django_db(transaction=True)
def test_a_revision_is_made_here_of_options_and_a_file(built_dataset, tmp_path, capsys):
    file = tmp_path / "found.csv"
    likelier = next(name for name in ("3", "4") if name != label_of(built_dataset, 2))
    file.write_text(f"{HEAD}label_errors,train,2,{likelier},relabel,\nblank,val,1,,exclude,\nblank,val,2,,,\n")
    call_command("revise_dataset", built_dataset.pk, "--exclude", "train/0", "--changes", str(file), "--here", "--json")
    revision = Dataset.objects.get(pk=json.loads(capsys.readouterr().out)["id"])
    assert (revision.status, revision.parent) == ("Done", built_dataset)
    changes = json.loads((revision.directory / "revision.json").read_text())
    assert [image["image"] for image in changes["excluded"]] == ["train/0", "val/1"]
    assert [(image["image"], image["to"]) for image in changes["relabelled"]] == [("train/2", likelier)]


def label_of(dataset, record):
    lines = (dataset.directory / "train.txt").read_text().splitlines()
    return dataset.categories[int(lines[record].rpartition(" ")[2])]


def test_a_wrong_image_is_named_with_its_option(built_dataset):
    with pytest.raises(CommandError, match=r"--exclude: There is no image train/900 in the dataset. Its images are tr"):
        call_command("revise_dataset", built_dataset.pk, "--exclude", "train/900", "--no-wait")
    assert Dataset.objects.count() == 1


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.csv", f"{HEAD}blank,train,1,,drop,\n", r"a.csv, line 2: drop is no action; write exclude or relabel"),
        ("a.csv", f"{HEAD}blank,train,1,,relabel,\n", r"line 2: name the new category of train/1 in the column to"),
        ("a.csv", "split,record\ntrain,1\n", r"a.csv has no column action"),
        ("a.json", "[]", r"a.json: It must be an object such as"),
        ("a.json", '{"exclude": "train/1"}', r"It must be an object such as"),
        ("a.json", "{", r"a.json is not JSON"),
        ("a.json", "[" * 100_000, r"a.json is not JSON"),
        ("a.csv", f"{HEAD}blank,train,1,{'x' * 140_000},relabel,\n", r"a.csv is not CSV: field larger than"),
    ],
)
def test_a_wrong_file_of_changes_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        read_changes(tmp_path / name)


def test_categories_that_look_like_formulas_are_read_as_a_report_writes_them(tmp_path):
    names = ["=a", "-1", "-b", "@c", "'q", "'", "d"]
    lines = (csv_line(["label_errors", "train", number, name, "relabel", ""]) for number, name in enumerate(names))
    (tmp_path / "a.csv").write_text(HEAD + "\n".join(lines))
    assert list((read_changes(tmp_path / "a.csv").relabel or {}).values()) == names
