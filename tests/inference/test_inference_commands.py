"""The commands classify, infer and export_model give the results of the server, in the order of the images."""

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

pytestmark = pytest.mark.django_db


def predict(model, path, epoch=None):
    """The predictions of the server."""
    snapshot = services.find_snapshot(model.pk, epoch)
    pixels = services.reader(snapshot)(Path(path))
    return services.ranking(snapshot, services.scores_of_one(snapshot, pixels))


def test_classify_prints_the_predictions_of_the_server_in_the_order_of_the_images(model, digits_folder, capsys):
    paths = [f"{digits_folder}/7/1.png", f"{digits_folder}/3", f"{digits_folder}/5/1*.png"]
    call_command("classify", model.pk, *paths, "--top", 2)
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head == ["image", "category_1", "percent_1", "category_2", "percent_2"]
    threes = sorted(str(path) for path in (digits_folder / "3").iterdir())
    assert [row[0] for row in rows[:13]] == [paths[0], *threes]
    assert {row[0] for row in rows[13:]} == {str(path) for path in (digits_folder / "5").glob("1*.png")}
    for path, first, percent, second, other in rows[:3]:
        assert [(first, float(percent)), (second, float(other))] == predict(model, path)[:2]


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_classify_refuses_a_number_of_categories_below_one(model, digits_folder, count):
    with pytest.raises(CommandError, match="is not a whole number from 1"):
        call_command("classify", model.pk, f"{digits_folder}/7/1.png", f"--top={count}")


def test_csv_escapes_names_that_spreadsheets_would_run_as_formulas(model, digits_folder, tmp_path, capsys, monkeypatch):
    type(model.dataset).objects.update(categories=[f"={name}" for name in model.dataset.categories])
    (tmp_path / "-1+2.png").write_bytes((digits_folder / "3" / "1.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    call_command("classify", model.pk, "./-1+2.png", "--top", 1)
    _, (path, category, percent) = csv.reader(io.StringIO(capsys.readouterr().out))
    assert category.startswith("'=")
    assert float(percent) > 0
    assert path == "'-1+2.png"


def test_classify_writes_lines_of_json_with_the_snapshot_of_an_epoch(model, digits_folder, tmp_path):
    path, output = str(digits_folder / "3" / "1.png"), tmp_path / "answers.jsonl"
    call_command("classify", model.pk, path, "--format", "jsonl", "--snapshot-epoch", 1, "--output", output)
    assert json.loads(output.read_text()) == {"image": path, "predictions": dict(predict(model, path, epoch=1))}
    assert predict(model, path, epoch=1) != predict(model, path)


def test_classify_reports_and_counts_unreadable_images_and_fails(model, digits_folder, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SystemExit) as end:
        call_command("classify", model.pk, tmp_path / "broken.png", digits_folder / "3" / "1.png", "/nowhere.png")
    output, errors = capsys.readouterr()
    assert (end.value.code, len(output.splitlines())) == (1, 2)
    assert f"{tmp_path}/broken.png: damaged PNG" in errors
    assert "/nowhere.png: No such file" in errors
    assert "1 images" in errors
    assert "2 could not be read" in errors


@pytest.mark.django_db(transaction=True)
def test_infer_reads_a_list_from_standard_input(model, digits_folder):
    process = start_command("infer", model.pk, "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    paths = [str(digits_folder / "3" / "1.png"), str(digits_folder / "4" / "1.png")]
    results = [json.loads(line) for line in process.communicate("\n".join(paths))[0].splitlines()]
    assert [result["image"] for result in results] == paths
    snapshot = services.find_snapshot(model.pk)
    expected = services.infer(snapshot, services.reader(snapshot)(Path(paths[0])))
    assert {name: [values] for name, values in results[0]["outputs"].items()} == expected


@pytest.mark.django_db(transaction=True)
def test_names_from_standard_input_that_are_not_utf_8_keep_their_bytes(model, digits_folder, tmp_path):
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
    paths = [f"{tmp_path}/{composed}", f"{tmp_path}/{composed}/{decomposed}.png"]
    call_command("classify", model.pk, *paths, "--format", "jsonl")
    found = [json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()]
    assert found == [f"{tmp_path}/{decomposed}/{composed}.png", paths[1]]


def test_a_folder_gives_its_images_and_on_request_those_of_its_subfolders(digits_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "b.png").write_bytes((digits_folder / "3" / "1.png").read_bytes())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jpg").write_bytes((digits_folder / "3" / "2.png").read_bytes())
    flat = list(image_files.image_files([str(tmp_path)], False, io.BytesIO()))
    assert flat == [tmp_path / "b.png"]
    deep = list(image_files.image_files([str(tmp_path)], True, io.BytesIO()))
    assert deep == [tmp_path / "b.png", tmp_path / "sub" / "a.jpg"]


def test_files_that_match_a_pattern_are_sorted_by_name(digits_folder):
    found = list(image_files.image_files([str(digits_folder / "3" / "*.png")], False, io.BytesIO()))
    assert found == sorted((digits_folder / "3").glob("*.png"))
    assert list(image_files.image_files(["none-*.png"], False, io.BytesIO())) == [Path("none-*.png")]


def test_a_huge_folder_is_read_file_by_file_without_sorting(digits_folder, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_SORTED", 4)
    opened = []
    monkeypatch.setattr(image_files, "_begins_as_image", lambda path: opened.append(path) or True)
    files = image_files.image_files([str(digits_folder / "3")], False, io.BytesIO())
    next(files)
    assert len(opened) == 1
    assert {next(files) for _ in range(11)} < set((digits_folder / "3").iterdir())
    assert len(opened) == 12


def test_a_list_from_standard_input_is_read_line_by_line():
    files = image_files.image_files(["-"], False, (b"%d.png\n" % i for i in iter(int, 1)))
    assert next(files) == Path("0.png")


def test_classify_refuses_a_model_without_a_snapshot(make_dataset, make_model):
    model = make_model(make_dataset())
    with pytest.raises(CommandError, match=r"lenet is Waiting and has no snapshot yet\.") as raised:
        call_command("classify", model.pk, "x.png")
    assert raised.value.returncode == 2


@pytest.mark.parametrize(
    "epoch, message",
    [("7", "has no snapshot of epoch 7; its epochs are: 1, 2"), ("x", "must be an epoch, best or latest, not x")],
)
def test_infer_refuses_an_unknown_epoch(model, epoch, message):
    with pytest.raises(CommandError, match=message):
        call_command("infer", model.pk, "x.png", "--snapshot-epoch", epoch)


def test_export_model_writes_the_archive_of_the_download(model, tmp_path, capsys, client, settings):
    settings.DIGITS_AUTH = "open"
    call_command("export_model", model.pk, "-o", tmp_path / "model.zip", "--snapshot-epoch", 1, "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["epoch"], report["bytes"]) == (1.0, (tmp_path / "model.zip").stat().st_size)
    downloaded = b"".join(client.get(f"/models/{model.pk}/download.zip?epoch=1").streaming_content)
    names = zipfile.ZipFile(tmp_path / "model.zip").namelist()
    assert names == zipfile.ZipFile(io.BytesIO(downloaded)).namelist()
    assert "classify.py" in names


def test_an_archive_that_cannot_be_written_is_reported_and_leaves_no_file(model, tmp_path):
    with pytest.raises(CommandError, match="can't be written"):
        call_command("export_model", model.pk, "-o", tmp_path / "none" / "model.zip")
    assert list(tmp_path.iterdir()) == []


def test_classify_reads_files_outside_of_the_data_roots_of_the_server(model, digits_folder, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    call_command("classify", model.pk, digits_folder / "3" / "1.png", "--output", tmp_path / "answers.csv")
    snapshot = services.find_snapshot(model.pk)
    with pytest.raises(decoding.BadImage):
        services.reader(snapshot)(digits_folder / "3" / "1.png")
