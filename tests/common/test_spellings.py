"""Names in another Unicode form than the disk's: found where they are, and only there."""

import os
import unicodedata

import numpy as np
import pytest
from django.core.files.base import ContentFile

from datasets.imagedb import BuiltSplit, PrebuiltSpec, PrebuiltSplit, Spec, TextSource, build, build_prebuilt
from digits_project.accounts.viewer import working_for
from digits_project.common import spellings
from digits_project.common.confined_files import EVERYWHERE, Outside, open_file, open_folder, resolve
from digits_project.common.spellings import on_disk
from digits_project.jobs.data_roots import readable
from tests.support.samples.imagedb_samples import silent, write_digits
from tests.support.samples.inference_samples import add_snapshot, categorized
from tests.support.samples.prebuilt_samples import datum, write_lmdb

NFC, NFD = (unicodedata.normalize(form, "Möhre") for form in ("NFC", "NFD"))
ROOTS = {True: lambda folder: EVERYWHERE, False: lambda folder: (folder,)}
MIXED = NFC + NFD  # as of a script that puts a word of its own before a Mac's name


def content(path, *roots):
    with open_file(path, roots) as file:
        return file.read().decode()


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize(
    "there, named", [(NFC, NFD), (NFD, NFC), (MIXED, NFC + NFC), (MIXED, NFD + NFC), (NFD * 2, MIXED)]
)
def test_a_file_and_the_folders_above_it_are_found_by_any_form_of_their_names(tmp_path, there, named, everywhere):
    roots = ROOTS[everywhere](tmp_path)
    (tmp_path / there / "x" / there).mkdir(parents=True)
    (tmp_path / there / "x" / there / there).write_text("found")
    assert content(tmp_path / named / "x" / named / named, *roots) == "found"
    assert resolve(tmp_path / named / "x" / named, roots) == tmp_path / there / "x" / there
    with open_folder(tmp_path / named / "x", roots) as folder:
        assert [entry.name for entry in os.scandir(folder)] == [there]


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_name_that_is_there_as_it_is_written_is_the_one(tmp_path, everywhere):
    roots = ROOTS[everywhere](tmp_path)
    for name in (NFC, NFD):
        (tmp_path / name).write_text(ascii(name))
    assert [content(tmp_path / name, *roots) for name in (NFC, NFD)] == [ascii(NFC), ascii(NFD)]


def test_a_file_that_is_in_no_form_there_is_missing(tmp_path):
    for roots in (EVERYWHERE, (tmp_path,)):
        with pytest.raises(FileNotFoundError):
            content(tmp_path / NFC, *roots)
    assert on_disk(f"{tmp_path}/{NFC}/{NFD}") == f"{tmp_path}/{NFC}/{NFD}"


@pytest.mark.parametrize("name", [NFC, NFD])
def test_no_other_form_leads_out_of_the_roots(tmp_path, name):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root" / NFC).symlink_to("../secret")
    (tmp_path / "root" / "way").symlink_to(f"../{name}")
    (tmp_path / NFC).write_text("outside")
    for path in (tmp_path / "root" / name, tmp_path / "root" / "way", tmp_path / name):
        for opened in (open_file, resolve):
            with pytest.raises(Outside):
                opened(path, (tmp_path / "root",))


def test_a_link_leads_to_a_file_in_another_form(tmp_path):
    (tmp_path / NFC).write_text("found")
    (tmp_path / "link").symlink_to(NFD)
    assert content(tmp_path / "link", tmp_path) == "found"


def test_a_folder_is_listed_once_for_all_the_names_that_it_lacks(tmp_path, monkeypatch):
    listed = []
    names = spellings._mixed_names
    monkeypatch.setattr(spellings, "_mixed_names", lambda folder: listed.append(folder) or names(folder))
    (tmp_path / MIXED).write_text("found")
    assert content(tmp_path / (NFC * 2), tmp_path) == "found"
    for number in range(50):
        with pytest.raises(FileNotFoundError):
            content(tmp_path / f"{NFC}{number}", tmp_path)
    assert len(listed) == 1


def test_a_text_file_lists_images_in_another_form_than_the_disk(tmp_path):
    images = write_digits(tmp_path / "images", {0: 6, 1: 6})
    (images / "0").rename(images / NFC)
    (images / "1").rename(images / (NFD * 2))
    listed = [f"{name}/{number:03}.png {label}" for label, name in ((0, NFD), (1, NFC * 2)) for number in range(6)]
    (tmp_path / "train.txt").write_text("\n".join(listed))
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    sources = {name: TextSource(tmp_path / f"{name}.txt", name, images) for name in ("train", "labels")}
    spec = Spec(**sources, width=8, height=8, channels=1, workers=2, roots=(images.resolve(),))
    built = build(spec, tmp_path / "job", silent)
    assert (built.splits, built.warnings) == ([BuiltSplit("train", 12, [6, 6])], [])


def test_a_database_built_elsewhere_is_found_in_another_form(tmp_path):
    write_lmdb(tmp_path / NFD, [datum(np.zeros((3, 8, 8), np.uint8), label=label) for label in (0, 1)])
    spec = PrebuiltSpec(PrebuiltSplit(tmp_path / NFC), roots=(tmp_path,))
    (tmp_path / "job").mkdir()
    assert build_prebuilt(spec, tmp_path / "job", silent).entries == {"train": 2}


@pytest.mark.django_db
def test_a_list_to_classify_names_an_image_in_another_form(client, settings, make_dataset, make_model, tmp_path):
    settings.DIGITS_AUTH = "open"
    model = make_model(categorized(make_dataset()))
    add_snapshot(model, 1, seed=1)
    write_digits(tmp_path / NFC, {3: 1})
    named = f"{tmp_path}/{NFD}/3/000.png"
    sent = {"job_id": model.pk, "image_list": ContentFile(f"{named}\n".encode(), "list.txt")}
    answer = client.post("/models/images/classification/classify_many.json", sent)
    assert (answer.status_code, list(answer.json()["classifications"])) == (200, [named])


@pytest.mark.django_db
def test_a_hidden_job_s_folder_has_no_other_form(settings, tmp_path, django_user_model, make_dataset):
    settings.DIGITS_JOBS_DIR = tmp_path / NFC
    settings.DIGITS_PRIVATE = True
    dataset = make_dataset()
    (dataset.directory / "file").write_text("secret")
    ann = django_user_model.objects.create_user("ann")
    with working_for(lambda: ann), pytest.raises(Outside):
        readable(f"{tmp_path}/{NFD}/{dataset.pk}/file")
