"""Images classified from the shell: the server's answers, in the order of the images, however many there are."""

import csv
import io
import json
import os
import subprocess
import unicodedata
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from datasets.imagedb.images import decoding
from inference import services
from inference.console import image_files
from tests.support.console import start_command
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(make_dataset, make_model):
    """A LeNet with two snapshots of random weights."""
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, 1, seed=1)
    add_snapshot(model, 2, seed=2)
    return model


def answer(model, path, epoch=None):
    """What the server answers."""
    snapshot = services.find_snapshot(model.pk, epoch)
    return services.classify(snapshot, services.reader(snapshot)(Path(path)))


def test_the_answers_are_the_server_s_in_the_order_of_the_images(model, digits_folder, capsys):
    named = [f"{digits_folder}/7/1.png", f"{digits_folder}/3", f"{digits_folder}/5/1*.png"]
    call_command("classify", model.pk, *named, "--top", 2)
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head == ["image", "category_1", "percent_1", "category_2", "percent_2"]
    threes = sorted(str(path) for path in (digits_folder / "3").iterdir())
    assert [row[0] for row in rows[:13]] == [named[0], *threes]
    assert {row[0] for row in rows[13:]} == {str(path) for path in (digits_folder / "5").glob("1*.png")}
    for path, first, percent, second, other in rows[:3]:
        assert [(first, float(percent)), (second, float(other))] == answer(model, path)[:2]


@pytest.mark.parametrize("most", ["0", "-1", "two"])
def test_a_number_of_categories_below_one_is_refused(model, digits_folder, most):
    with pytest.raises(CommandError, match="is no whole number from 1"):
        call_command("classify", model.pk, f"{digits_folder}/7/1.png", f"--top={most}")


def test_no_name_is_a_formula_in_a_spreadsheet(model, digits_folder, tmp_path, capsys, monkeypatch):
    type(model.dataset).objects.update(categories=[f"={name}" for name in model.dataset.categories])
    (tmp_path / "-1+2.png").write_bytes((digits_folder / "3" / "1.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    call_command("classify", model.pk, "./-1+2.png", "--top", 1)
    _, (path, category, percent) = csv.reader(io.StringIO(capsys.readouterr().out))
    assert category.startswith("'=")
    assert float(percent) > 0
    assert path == "'-1+2.png"


def test_lines_of_json_and_another_snapshot(model, digits_folder, tmp_path):
    path, output = str(digits_folder / "3" / "1.png"), tmp_path / "answers.jsonl"
    call_command("classify", model.pk, path, "--format", "jsonl", "--snapshot-epoch", 1, "--output", output)
    assert json.loads(output.read_text()) == {"image": path, "predictions": dict(answer(model, path, epoch=1))}
    assert answer(model, path, epoch=1) != answer(model, path)


def test_what_can_not_be_read_is_told_counted_and_fails(model, digits_folder, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SystemExit) as end:
        call_command("classify", model.pk, tmp_path / "broken.png", digits_folder / "3" / "1.png", "/nowhere.png")
    answers, told = capsys.readouterr()
    assert (end.value.code, len(answers.splitlines())) == (1, 2)
    assert f"{tmp_path}/broken.png: damaged PNG" in told
    assert "/nowhere.png: No such file" in told
    assert "1 images" in told
    assert "2 could not be read" in told


@pytest.mark.django_db(transaction=True)
def test_a_list_comes_on_standard_input(model, digits_folder):
    process = start_command("infer", model.pk, "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    paths = [str(digits_folder / "3" / "1.png"), str(digits_folder / "4" / "1.png")]
    answers = [json.loads(line) for line in process.communicate("\n".join(paths))[0].splitlines()]
    assert [answer["image"] for answer in answers] == paths
    snapshot = services.find_snapshot(model.pk)
    expected = services.infer(snapshot, services.reader(snapshot)(Path(paths[0])))
    assert {name: [values] for name, values in answers[0]["outputs"].items()} == expected


@pytest.mark.django_db(transaction=True)
def test_names_on_standard_input_that_are_not_utf_8_keep_their_bytes(model, digits_folder, tmp_path):
    names = [os.fsencode(tmp_path) + b"/caf\xe9.png", os.fsencode(tmp_path) + "/café.png".encode()]
    for name in names:
        Path(os.fsdecode(name)).write_bytes((digits_folder / "3" / "1.png").read_bytes())
    process = start_command("classify", model.pk, "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    _, *rows = process.communicate(b"\r\n".join(names))[0].splitlines()
    assert process.returncode == 0
    assert [row.split(b",")[0] for row in rows] == names


def test_a_folder_and_a_file_are_found_by_another_unicode_form_of_their_names(model, digits_folder, tmp_path, capsys):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).mkdir()
    (tmp_path / decomposed / f"{composed}.png").write_bytes((digits_folder / "3" / "1.png").read_bytes())
    named = [f"{tmp_path}/{composed}", f"{tmp_path}/{composed}/{decomposed}.png"]
    call_command("classify", model.pk, *named, "--format", "jsonl")
    answers = [json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()]
    assert answers == [f"{tmp_path}/{decomposed}/{composed}.png", named[1]]


def test_a_folder_gives_images_only_and_subfolders_when_asked(digits_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "b.png").write_bytes((digits_folder / "3" / "1.png").read_bytes())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jpg").write_bytes((digits_folder / "3" / "2.png").read_bytes())
    flat = list(image_files.image_files([str(tmp_path)], False, io.BytesIO()))
    assert flat == [tmp_path / "b.png"]
    deep = list(image_files.image_files([str(tmp_path)], True, io.BytesIO()))
    assert deep == [tmp_path / "b.png", tmp_path / "sub" / "a.jpg"]


def test_what_matches_a_pattern_comes_in_the_order_of_the_names(digits_folder):
    found = list(image_files.image_files([str(digits_folder / "3" / "*.png")], False, io.BytesIO()))
    assert found == sorted((digits_folder / "3").glob("*.png"))
    assert list(image_files.image_files(["none-*.png"], False, io.BytesIO())) == [Path("none-*.png")]


def test_of_a_huge_folder_only_so_many_names_are_in_memory(digits_folder, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_SORTED", 4)
    opened = []
    monkeypatch.setattr(image_files, "_begins_as_image", lambda path: opened.append(path) or True)
    files = image_files.image_files([str(digits_folder / "3")], False, io.BytesIO())
    next(files)
    assert len(opened) == 1
    assert {next(files) for _ in range(11)} < set((digits_folder / "3").iterdir())
    assert len(opened) == 12


def test_a_list_is_read_as_it_is_needed():
    files = image_files.image_files(["-"], False, (b"%d.png\n" % i for i in iter(int, 1)))
    assert next(files) == Path("0.png")


def test_a_model_without_a_snapshot_is_told(make_dataset, make_model):
    model = make_model(make_dataset())
    with pytest.raises(CommandError, match=r"lenet is Waiting and has no snapshot yet\.") as wrong:
        call_command("classify", model.pk, "x.png")
    assert wrong.value.returncode == 2


@pytest.mark.parametrize("epoch, said", [("7", "has no snapshot of epoch 7; it has 1, 2"), ("x", "neither a number")])
def test_an_epoch_that_is_none_is_told(model, epoch, said):
    with pytest.raises(CommandError, match=said):
        call_command("infer", model.pk, "x.png", "--snapshot-epoch", epoch)


def test_the_archive_is_the_download_s(model, tmp_path, capsys, client, settings):
    settings.DIGITS_AUTH = "open"
    call_command("export_model", model.pk, "-o", tmp_path / "model.zip", "--snapshot-epoch", 1, "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["epoch"], told["bytes"]) == (1.0, (tmp_path / "model.zip").stat().st_size)
    downloaded = b"".join(client.get(f"/models/{model.pk}/download.zip?epoch=1").streaming_content)
    names = zipfile.ZipFile(tmp_path / "model.zip").namelist()
    assert names == zipfile.ZipFile(io.BytesIO(downloaded)).namelist()
    assert "classify.py" in names


def test_an_archive_that_can_not_be_written_is_told_and_leaves_nothing(model, tmp_path):
    with pytest.raises(CommandError, match="can't be written"):
        call_command("export_model", model.pk, "-o", tmp_path / "none" / "model.zip")
    assert list(tmp_path.iterdir()) == []


def test_who_calls_the_command_may_read_what_the_server_does_not_offer(model, digits_folder, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    call_command("classify", model.pk, digits_folder / "3" / "1.png", "--output", tmp_path / "answers.csv")
    snapshot = services.find_snapshot(model.pk)
    with pytest.raises(decoding.BadImage):
        services.reader(snapshot)(digits_folder / "3" / "1.png")
