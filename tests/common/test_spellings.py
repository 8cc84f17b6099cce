"""Paths in another Unicode form than on the disk: the file is found, and the limits of access still apply."""

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
from tests.support.samples.imagedb_samples import ignore_progress, write_digits
from tests.support.samples.prebuilt_samples import datum, write_lmdb
from tests.support.samples.row_samples import add_snapshot, with_categories

NFC, NFD = (unicodedata.normalize(form, "Möhre") for form in ("NFC", "NFD"))
ROOTS = {True: lambda folder: EVERYWHERE, False: lambda folder: (folder,)}
MIXED = NFC + NFD  # as written by a script that adds a prefix in NFC to a name from macOS, which is NFD


def read_text(path, *roots):
    with open_file(path, roots) as file:
        return file.read().decode()


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize(
    "disk_name, given_name", [(NFC, NFD), (NFD, NFC), (MIXED, NFC + NFC), (MIXED, NFD + NFC), (NFD * 2, MIXED)]
)
def test_a_file_is_found_by_any_unicode_form_of_its_path(tmp_path, disk_name, given_name, everywhere):
    roots = ROOTS[everywhere](tmp_path)
    (tmp_path / disk_name / "x" / disk_name).mkdir(parents=True)
    (tmp_path / disk_name / "x" / disk_name / disk_name).write_text("found")
    assert read_text(tmp_path / given_name / "x" / given_name / given_name, *roots) == "found"
    assert resolve(tmp_path / given_name / "x" / given_name, roots) == tmp_path / disk_name / "x" / disk_name
    with open_folder(tmp_path / given_name / "x", roots) as folder:
        assert [entry.name for entry in os.scandir(folder)] == [disk_name]


@pytest.mark.parametrize("everywhere", [True, False])
def test_an_exact_match_of_the_unicode_form_wins(tmp_path, everywhere):
    roots = ROOTS[everywhere](tmp_path)
    for name in (NFC, NFD):
        (tmp_path / name).write_text(ascii(name))
    assert [read_text(tmp_path / name, *roots) for name in (NFC, NFD)] == [ascii(NFC), ascii(NFD)]


def test_a_file_that_exists_in_no_unicode_form_is_missing(tmp_path):
    for roots in (EVERYWHERE, (tmp_path,)):
        with pytest.raises(FileNotFoundError):
            read_text(tmp_path / NFC, *roots)
    assert on_disk(f"{tmp_path}/{NFC}/{NFD}") == f"{tmp_path}/{NFC}/{NFD}"


@pytest.mark.parametrize("name", [NFC, NFD])
def test_no_unicode_form_of_a_path_leads_out_of_the_roots(tmp_path, name):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root" / NFC).symlink_to("../secret")
    (tmp_path / "root" / "way").symlink_to(f"../{name}")
    (tmp_path / NFC).write_text("outside")
    for path in (tmp_path / "root" / name, tmp_path / "root" / "way", tmp_path / name):
        for open_or_resolve in (open_file, resolve):
            with pytest.raises(Outside):
                open_or_resolve(path, (tmp_path / "root",))


def test_a_link_can_name_its_target_in_another_unicode_form(tmp_path):
    (tmp_path / NFC).write_text("found")
    (tmp_path / "link").symlink_to(NFD)
    assert read_text(tmp_path / "link", tmp_path) == "found"


def test_a_folder_is_listed_once_for_many_missing_names(tmp_path, monkeypatch):
    listed = []
    names = spellings._mixed_names
    monkeypatch.setattr(spellings, "_mixed_names", lambda folder: listed.append(folder) or names(folder))
    (tmp_path / MIXED).write_text("found")
    assert read_text(tmp_path / (NFC * 2), tmp_path) == "found"
    for number in range(50):
        with pytest.raises(FileNotFoundError):
            read_text(tmp_path / f"{NFC}{number}", tmp_path)
    assert len(listed) == 1


def test_a_text_file_can_list_images_in_another_unicode_form(tmp_path):
    images = write_digits(tmp_path / "images", {0: 6, 1: 6})
    (images / "0").rename(images / NFC)
    (images / "1").rename(images / (NFD * 2))
    lines = [f"{name}/{number:03}.png {label}" for label, name in ((0, NFD), (1, NFC * 2)) for number in range(6)]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    sources = {name: TextSource(tmp_path / f"{name}.txt", name, images) for name in ("train", "labels")}
    spec = Spec(**sources, width=8, height=8, channels=1, workers=2, roots=(images.resolve(),))
    built = build(spec, tmp_path / "job", ignore_progress)
    assert (built.splits, built.warnings) == ([BuiltSplit("train", 12, [6, 6])], [])


def test_a_prebuilt_database_is_found_by_another_unicode_form(tmp_path):
    write_lmdb(tmp_path / NFD, [datum(np.zeros((3, 8, 8), np.uint8), label=label) for label in (0, 1)])
    spec = PrebuiltSpec(PrebuiltSplit(tmp_path / NFC), roots=(tmp_path,))
    (tmp_path / "job").mkdir()
    assert build_prebuilt(spec, tmp_path / "job", ignore_progress).entries == {"train": 2}


@pytest.mark.django_db
def test_a_list_of_images_to_classify_can_use_another_unicode_form(
    client, settings, make_dataset, make_model, tmp_path
):
    settings.DIGITS_AUTH = "open"
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, 1, seed=1)
    write_digits(tmp_path / NFC, {3: 1})
    given_name = f"{tmp_path}/{NFD}/3/000.png"
    form = {"job_id": model.pk, "image_list": ContentFile(f"{given_name}\n".encode(), "list.txt")}
    response = client.post("/models/images/classification/classify_many.json", form)
    assert (response.status_code, list(response.json()["classifications"])) == (200, [given_name])


@pytest.mark.django_db
def test_no_unicode_form_of_a_path_opens_the_folder_of_a_hidden_job(
    settings, tmp_path, django_user_model, make_dataset
):
    settings.DIGITS_JOBS_DIR = tmp_path / NFC
    settings.DIGITS_PRIVATE = True
    dataset = make_dataset()
    (dataset.directory / "file").write_text("secret")
    ann = django_user_model.objects.create_user("ann")
    with working_for(lambda: ann), pytest.raises(Outside):
        readable(f"{tmp_path}/{NFD}/{dataset.pk}/file")
