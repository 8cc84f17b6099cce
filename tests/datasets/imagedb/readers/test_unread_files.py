"""Files in a folder of images that are not read: each is either clearly no image, or counted with a reason."""

import io
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from datasets.imagedb import FolderSource, build
from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers.unread_files import judge
from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.common.errors import BadInput
from tests.support.console import start_command
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits
from tests.support.samples.picture_samples import encode_image, image_of, random_samples

NOISE = bytes(np.random.default_rng(0).integers(128, 256, 600).tolist())
JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n" + NOISE


@pytest.mark.parametrize(
    "name, header, format_name",
    [
        ("scan.jp2", JPEG_2000, "JPEG 2000"),
        ("scan.jpg", JPEG_2000, "JPEG 2000"),  # the content decides before the name
        ("scan", JPEG_2000, "JPEG 2000"),
        ("x.tga", NOISE, "TGA"),
        ("X.TGA", NOISE, "TGA"),
        ("x.raw", NOISE, "RAW"),
        ("x.NEF", b"MM\0*" + NOISE, "Nikon NEF"),  # camera formats are TIFF files with a small preview
        ("x.dng", b"II*\0" + NOISE, "DNG"),
        ("x.heic", b"\0\0\0\x14ftypmif1\0\0\0\0mif1j2ki" + NOISE, "HEIF of this kind"),
        ("x.cr2", b"II*\0\x10\0\0\0CR" + NOISE, "Canon CR2"),
        ("x.CR3", b"\0\0\0\x18ftypcrx " + NOISE, "Canon CR3"),
        ("x.pbm", b"P1\n2 2\n0 1 1 0\n", "PBM"),
        ("x.gif", b"GIF89a" + NOISE, "GIF"),
        ("x", b"8BPS" + NOISE, "Photoshop"),
        ("x.dcm", bytes(128) + b"DICM" + NOISE, "DICOM"),
        ("x", bytes(128) + b"DICM" + NOISE, "DICOM"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ("x.jxl", b"\xff\x0a" + NOISE, "JPEG XL"),
    ],
)
def test_the_reason_for_a_skipped_file_names_its_format(name, header, format_name):
    assert judge(name, header) == (False, f"{format_name} is not supported: save it as PNG or JPEG")


@pytest.mark.parametrize("name", ["x.jpg", "x.PNG", "x.jfif", "x", "x.bin", "IMG_0001", "x.unheard-of"])
def test_a_file_of_unknown_content_is_counted_as_an_unreadable_image(name):
    is_image, reason = judge(name, NOISE)
    assert not is_image
    assert reason.startswith("its content is not that of a PNG, JPEG, ")


def test_a_text_file_named_like_an_image_is_counted_as_unreadable():
    assert judge("x.jpg", b"not found\n")[1].startswith("its content is not")
    assert judge("x.jpg", b"") == judge("x.heic", b"") == judge("x.nef", b"") == (False, "the file is empty")


@pytest.mark.parametrize(
    "name, header",
    [
        ("labels.txt", b"cat\ndog\n"),
        ("README", b"These are the images of\n"),
        ("LICENSE", "© 2026 Müller".encode()),
        ("cut", "…".encode() * 170 + "…".encode()[:2]),  # cut within a character
        ("x.xml", b"<annotation>"),
        ("x.json", NOISE),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" + NOISE),
        ("film.mp4", b"\0\0\0\x20ftypisom" + NOISE),
        ("film", b"\0\0\0\x14ftypqt  " + NOISE),
        ("x.zip", b"PK\x03\x04" + NOISE),
        ("x", b"%PDF-1.7" + NOISE),
        ("features.npy", b"\x93NUMPY" + NOISE),
        ("marker", b""),
    ],
)
def test_files_that_are_clearly_no_images_are_ignored_without_a_reason(name, header):
    assert judge(name, header) == (False, None)


@pytest.mark.parametrize("name", ["IMG_0001.jpg", "IMG_0001.HEIC", "IMG_0001", "x.tif"])
@pytest.mark.parametrize("header", [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"II*\0\x10\0\0\0", b"II+\0\x08\0\0\0"])
def test_a_readable_format_is_detected_by_content_not_by_name(name, header):
    assert judge(name, header + NOISE) == (True, None)


@pytest.fixture
def mixed_folder(tmp_path):
    """A folder of digits with files of other kinds within and beside the categories."""
    folder = write_digits(tmp_path / "images", {0: 6, 1: 6})
    for number in range(3):
        (folder / "0" / f"scan {number}.jp2").write_bytes(JPEG_2000)
    (folder / "1" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + NOISE)
    (folder / "1" / "deeper").mkdir()
    (folder / "1" / "deeper" / "x.tga").write_bytes(NOISE)
    (folder / "1" / "notes.txt").write_text("no image")
    (folder / "1" / ".hidden.tga").write_bytes(NOISE)
    (folder / "beside.png").write_bytes(encode_image(image_of(random_samples(3))))
    (folder / "README.md").write_text("no image")
    return folder


EXPECTED_REASONS = {
    "JPEG 2000 is not supported: save it as PNG or JPEG": 3,
    "TGA is not supported: save it as PNG or JPEG": 1,
    "it lies beside the folders of the categories, not in one of them": 1,
}


def test_a_build_counts_skipped_files_by_reason(mixed_folder, tmp_path):
    built = build(spec_of(mixed_folder), tmp_path / "job", ignore_progress)
    damaged = {reason: count for reason, count in built.skipped_reasons.items() if reason.startswith("damaged JPEG")}
    assert built.skipped_reasons == EXPECTED_REASONS | damaged
    assert (built.skipped, list(damaged.values())) == (6, [1])
    log = (tmp_path / "job" / "build.log").read_text()
    assert all(f"skipped {mixed_folder}/0/scan {number}.jp2: JPEG 2000 is not supported" in log for number in range(3))
    assert "notes.txt" not in log
    assert "6 files were skipped: 3 since JPEG 2000 is not supported" in log


def test_a_build_from_an_archive_counts_skipped_files_by_reason(mixed_folder, tmp_path):
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w") as archive:
        for path in mixed_folder.rglob("*"):
            archive.write(path, path.relative_to(mixed_folder))
    (tmp_path / "packed.zip").write_bytes(archive_bytes.getvalue())
    source = FolderSource(tmp_path / "packed.zip", name="packed.zip")
    built = build(spec_of(mixed_folder, train=source), tmp_path / "job", ignore_progress)
    assert (built.skipped, built.skipped_reasons | EXPECTED_REASONS) == (6, built.skipped_reasons)


def test_the_error_for_a_folder_without_readable_images_names_the_formats_found(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "scan.jp2").write_bytes(JPEG_2000)
    with pytest.raises(BadInput, match=r"holds no images .* 2 files were skipped: JPEG 2000 is not supported: save"):
        build(spec_of(tmp_path / "images"), tmp_path / "job", ignore_progress)


def test_similar_reasons_are_counted_together_and_their_number_is_limited(tmp_path):
    with BuildLog(tmp_path / "build.log") as log:
        for number in range(100):
            log.skip("x.png", f"damaged PNG: {number} bytes are missing")
            log.skip("x.png", f"{number}x9000 is more than 64,000,000 pixels")
        for letter in "abcdefghijklmnopqrstuvwxyz":
            log.skip("x.png", f"reason {letter}")
    assert log.skipped_reasons["damaged PNG: … bytes are missing"] == 100
    assert log.skipped_reasons["… is more than 64,000,000 pixels"] == 100
    assert log.skipped_reasons["other reasons, listed in build.log"] == 8
    assert (log.skipped, len(log.skipped_reasons)) == (226, 21)


@pytest.mark.django_db(transaction=True)
def test_skipped_files_are_reported_in_json_on_pages_and_by_the_command(client, admin_client, settings, mixed_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [Path("/")]
    arguments = ("create_dataset", "x", "--folder-train", mixed_folder, "--here")
    output, errors = start_command(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).communicate()
    dataset = Dataset.objects.get()
    assert output == f"{dataset.pk}\n"
    assert "6 files were skipped: 3 since JPEG 2000 is not supported: save it as PNG or JPEG; 1 since " in errors
    facts = client.get(f"/datasets/{dataset.pk}.json").json()
    assert facts["skipped"] == 6
    assert facts["skipped_reasons"] | EXPECTED_REASONS == facts["skipped_reasons"]
    assert next(iter(facts["skipped_reasons"])) == "JPEG 2000 is not supported: save it as PNG or JPEG"
    for page in (
        client.get(f"/datasets/{dataset.pk}", headers={"Accept": "text/html"}),
        admin_client.get(f"/admin/datasets/dataset/{dataset.pk}/change/"),
    ):
        assert "<li>3: JPEG 2000 is not supported: save it as PNG or JPEG</li>" in page.content.decode()


@pytest.mark.django_db
def test_a_dataset_without_skipped_files_does_not_mention_them(client, settings, built_dataset):
    settings.DIGITS_AUTH = "open"
    facts = client.get(f"/datasets/{built_dataset.pk}.json").json()
    assert not {"skipped", "skipped_reasons"} & set(facts)
    page = client.get(f"/datasets/{built_dataset.pk}", headers={"Accept": "text/html"})
    assert "Skipped" not in page.content.decode()


@pytest.mark.django_db
def test_a_build_from_a_text_file_counts_skipped_files_by_reason(client, settings, mixed_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [Path("/")]
    lines = [f"{path} {path.parent.name}" for path in mixed_folder.glob("[01]/*.*")]
    lists = {
        "textfile_train_images": io.BytesIO("\n".join(lines).encode()),
        "textfile_labels_file": io.BytesIO(b"zero\none\n"),
    }
    client.post("/datasets/images/classification.json", {"dataset_name": "x", "method": "textfile", **lists})
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.skipped, sum(dataset.skipped_reasons.values())) == (6, 6)
