"""Text files that list images and labels: which lines are read, and which are rejected."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest

from datasets.imagedb import BuiltSplit, Spec, TextSource, build, check, check_lists
from datasets.imagedb.images.decoding import decode_record, read_array
from datasets.imagedb.store.records import RecordReader
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import ignore_progress, write_digits


@pytest.fixture
def images(tmp_path):
    return write_digits(tmp_path / "images", {0: 6, 1: 6, 2: 6})


@pytest.fixture
def spec_of_lists(tmp_path, images):
    """A function that returns a Spec of text files with these contents, named train.txt, val.txt and so on."""

    def source(name, content):
        file = tmp_path / f"uploaded {name}"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TextSource(file, f"{name}.txt", images)

    def spec_of_lists(train, labels="nought\none\ntwo\n", roots=(), **others):
        splits = {name: source(name, others.pop(name)) for name in ("val", "test") if name in others}
        small = {"width": 8, "height": 8, "channels": 1, "workers": 2}
        if roots:
            small["roots"] = roots
        return Spec(train=source("train", train), labels=source("labels", labels), **splits, **small | others)

    return spec_of_lists


ALL_LINES = "".join(f"{digit}/{number:03}.png {digit}\n" for digit in range(3) for number in range(6))


def labels_and_paths(directory, split="train"):
    lines = (directory / f"{split}.txt").read_text().splitlines()
    return [(int(label), path) for path, label in (line.rsplit(" ", 1) for line in lines)]


def test_a_build_from_text_files_uses_the_labels_of_the_lines(spec_of_lists, tmp_path, images):
    built = build(spec_of_lists(ALL_LINES, val="0/000.png 2\n1/001.png 0\n"), tmp_path / "job", ignore_progress)
    assert built.categories == ["nought", "one", "two"]
    assert built.splits == [BuiltSplit("train", 18, [6, 6, 6]), BuiltSplit("val", 2, [1, 0, 1])]
    assert built.warnings == ["Without images in val: one."]
    with RecordReader(tmp_path / "job" / "train.rec") as reader:
        for number, (label, path) in enumerate(labels_and_paths(tmp_path / "job")):
            assert path.startswith(f"{images}/{label}/")
            assert reader[number][0] == label
            expected = read_array(images / path, 8, 8, 1, "squash")
            assert np.array_equal(decode_record(reader[number][1]), expected)


def test_the_order_of_lines_is_kept_or_shuffled_with_the_seed(spec_of_lists, tmp_path):
    orders = []
    for number, changes in enumerate([{"shuffle": False}, {"seed": 1}, {"seed": 1}, {"seed": 2}]):
        build(spec_of_lists(ALL_LINES, **changes), tmp_path / str(number), ignore_progress)
        orders.append(labels_and_paths(tmp_path / str(number)))
    assert orders[0] == sorted(orders[0])
    assert orders[1] == orders[2]
    assert len({str(order) for order in orders}) == 3


def test_text_files_can_have_quotes_blank_lines_crlf_and_a_byte_order_mark(spec_of_lists, tmp_path, images):
    (images / "0" / "000.png").rename(images / "a b  c.png")
    absolute = images / "1" / "000.png"
    text = f"\ufeff\"a b  c.png\" 0\r\n\r\n  a b  c.png\t2\r\n{absolute}   1\r\n'2/000.png' 2"
    build(spec_of_lists(text, shuffle=False), tmp_path / "job", ignore_progress)
    assert labels_and_paths(tmp_path / "job") == [
        (0, f"{images}/a b  c.png"),
        (2, f"{images}/a b  c.png"),
        (1, str(absolute)),
        (2, f"{images}/2/000.png"),
    ]


@pytest.mark.parametrize(
    "lines, message",
    [
        ("0/000.png 0\n0/001.png cat\n", "Line 2 of train.txt: the label 'cat' is not a number."),
        ("0/000.png 0\n\n0/001.png 1.0\n", "Line 3 of train.txt: the label '1.0' is not a number."),
        ("0/000.png 3", "Line 1 of train.txt: the label '3' is out of range (0 to 2)."),
        ("0/000.png -1", "Line 1 of train.txt: the label '-1' is out of range (0 to 2)."),
        ("0/000.png " + "9" * 3000, "is out of range (0 to 2)."),
        ("0/000.png 0\n1\n", "Line 2 of train.txt is '1'; it must be a path and the number of its category"),
        ("0/000.png", "Line 1 of train.txt is '0/000.png'; it must be a path and the number of its category"),
        ('"" 1', "Line 1 of train.txt names no path."),
        ("a\0b 1", "Line 1 of train.txt names no path."),
        (b"0/000.png 0\n\xff\xfe 1\n", "Line 2 of train.txt is not UTF-8 text."),
        ("x" * 20_000, "Line 1 of train.txt is longer than 16384 bytes. Is the file a text?"),
        ("\n \r\n", "train.txt lists no images."),
    ],
)
def test_an_invalid_line_is_bad_input_with_file_and_line_number(spec_of_lists, lines, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        check(spec_of_lists(lines))


@pytest.mark.parametrize(
    "labels, message",
    [
        ("", "labels.txt names no category; a classifier needs two."),
        ("cat\n\n", "labels.txt names only one category, cat; a classifier needs two."),
        ("cat\n\ndog\n", "Line 2 of labels.txt is blank, with categories after it"),
        ("cat\nd\0g\n", "Line 2 of labels.txt can't name a category"),
        (b"cat\n\xff\n", "Line 2 of labels.txt is not UTF-8 text."),
        ("x\n" * 100_001, "labels.txt names more than 100,000 categories."),
    ],
)
def test_an_invalid_line_of_the_labels_file_is_bad_input(spec_of_lists, labels, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        check(spec_of_lists(ALL_LINES, labels))


def test_all_invalid_text_files_are_reported_together(spec_of_lists):
    errors = check_lists(spec_of_lists("train", "only one", val="0/000.png 2", test="test"))
    assert set(errors) == {"labels", "train", "test"}


def test_the_lines_of_the_validation_list_are_checked(spec_of_lists):
    with pytest.raises(BadInput, match=r"Line 1 of val.txt: the label '7' is out of range"):
        check(spec_of_lists(ALL_LINES, val="0/000.png 7"))


def test_a_relative_path_without_a_folder_is_bad_input(tmp_path):
    (tmp_path / "list").write_text("0/000.png 0\n")
    (tmp_path / "labels").write_text("a\nb\n")
    source = TextSource(tmp_path / "list", "list.txt")
    with pytest.raises(BadInput, match=r"Line 1 of list.txt: '0/000.png' is a relative path; name the folder"):
        check(Spec(source, labels=TextSource(tmp_path / "labels", "labels.txt")))


def test_a_missing_image_of_a_text_file_is_skipped_and_logged(spec_of_lists, tmp_path, images):
    built = build(spec_of_lists(ALL_LINES + "0/gone.png 0\n"), tmp_path / "job", ignore_progress)
    assert (built.splits[0].entries, built.skipped) == (18, 1)
    assert f"skipped {images}/0/gone.png: No such file or directory" in (tmp_path / "job" / "build.log").read_text()


def test_a_category_without_images_keeps_its_label(spec_of_lists, tmp_path):
    built = build(spec_of_lists("0/000.png 0\n2/000.png 2\n"), tmp_path / "job", ignore_progress)
    assert built.categories == ["nought", "one", "two"]
    assert built.splits[0].per_category == [1, 0, 1]
    assert built.warnings == ["Without a readable image for training: one."]


def test_a_text_file_with_images_of_one_category_is_bad_input(spec_of_lists, tmp_path):
    with pytest.raises(BadInput, match="Only one category has readable images for training"):
        build(spec_of_lists("0/000.png 1\n0/001.png 1\n"), tmp_path / "job", ignore_progress)


def test_the_log_does_not_reveal_whether_a_path_outside_the_roots_exists(spec_of_lists, tmp_path, images):
    outside = tmp_path / "outside.png"
    os.link(images / "0" / "000.png", outside)
    (images / "link.png").symlink_to(outside)
    outside_lines = f"link.png 0\n{outside} 0\n../outside.png 0\n/no/such/file.png 0\n"
    built = build(spec_of_lists(ALL_LINES + outside_lines, roots=(images,)), tmp_path / "job", ignore_progress)
    assert (built.splits[0].entries, built.skipped) == (18, 4)
    log = (tmp_path / "job" / "build.log").read_text()
    assert log.count(": it is not in a folder that this server may read\n") == 4


FOREIGN_PATHS = {
    r"C:\data\0\000.png 0": "is a Windows path. Write the path that the file has on the server",
    "d:/data/0/000.png 0": "is a Windows path",
    r"\\nas\photos\0\000.png 0": "is a Windows path",
    "http://example.com/1.png 0": "is a URL. Only images on the server can be listed here",
    "s3://bucket/1.png 0": "is a URL",
    "~/data/1.png 0": "begins with ~, which only a shell understands. Write the whole path, from / on",
    "~ada/data/1.png 0": "begins with ~",
}


@pytest.mark.parametrize("has_folder", [True, False])
@pytest.mark.parametrize("line", FOREIGN_PATHS)
def test_a_windows_path_url_or_home_path_in_a_text_file_is_explained(spec_of_lists, line, has_folder):
    spec = spec_of_lists(f"0/000.png 0\n{line}\n" if has_folder else line)
    source = replace(spec.train, folder=spec.train.folder if has_folder else None)
    with pytest.raises(BadInput, match=rf"Line {1 + has_folder} of train.txt: ") as error:
        check(replace(spec, train=source))
    assert FOREIGN_PATHS[line] in str(error.value)
    assert "relative path" not in str(error.value)


def test_backslashes_in_a_relative_path_are_read_as_slashes(spec_of_lists, tmp_path, images):
    build(spec_of_lists(ALL_LINES.replace("/", "\\"), shuffle=False), tmp_path / "job", ignore_progress)
    assert labels_and_paths(tmp_path / "job")[0] == (0, f"{images}/0/000.png")


def test_a_list_for_im2rec_is_read(spec_of_lists, tmp_path, images):
    lines = "".join(f"{n}\t{label}.000000\t{label}/{n:03}.png\n" for n in range(4) for label in (0, 1))
    built = build(spec_of_lists(lines, val="7\t1\t1/005.png\n", shuffle=False), tmp_path / "job", ignore_progress)
    assert [split.per_category for split in built.splits] == [[4, 4, 0], [0, 1, 0]]
    assert labels_and_paths(tmp_path / "job")[:2] == [(0, f"{images}/0/000.png"), (1, f"{images}/1/000.png")]


@pytest.mark.parametrize(
    "line, message",
    [
        ("0\t1.500000\t0/000.png", "Line 1 of train.txt: the label '1.500000' is not a number."),
        ("0\t7.000000\t0/000.png", "Line 1 of train.txt: the label '7' is out of range (0 to 2)."),
        ("0\t1.000000\tdata/000.png", "train.txt is a list for im2rec, and its first image, '"),
        ("0\t2\t5\t0.1\t0.2\t0/000.png", "Line 1 of train.txt has 4 labels, as in lists for object detection"),
    ],
)
def test_an_invalid_line_of_a_list_for_im2rec_is_bad_input(spec_of_lists, line, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        check(spec_of_lists(line))


def test_lines_can_end_with_cr_alone(spec_of_lists, tmp_path):
    built = build(
        spec_of_lists(ALL_LINES.replace("\n", "\r"), labels="nought\rone\rtwo\r", val="0/000.png 0\r1/000.png 1"),
        tmp_path / "job",
        ignore_progress,
    )
    assert built.categories == ["nought", "one", "two"]
    assert [split.entries for split in built.splits] == [18, 2]


def test_lines_that_end_with_cr_are_counted(spec_of_lists):
    with pytest.raises(BadInput, match=r"Line 2 of train.txt: the label 'cat' is not a number"):
        check(spec_of_lists("0/000.png 0\r0/001.png cat\r"))


def test_a_text_file_in_utf_16_is_explained(spec_of_lists):
    with pytest.raises(BadInput, match=r"Line 1 of train.txt is not UTF-8 text. It may be UTF-16, as PowerShell"):
        check(spec_of_lists(ALL_LINES.encode("utf-16")))


def test_a_list_written_by_a_build_can_be_used_as_a_text_file(spec_of_lists, tmp_path, images):
    (images / "0" / "000.png").rename(os.fsdecode(os.fsencode(images) + b"/0/caf\xe9.png"))
    names = [os.fsencode(path) for path in sorted(images.rglob("*.png"))]
    train_txt = b"".join(b"%s %d\n" % (name, number % 3) for number, name in enumerate(names))
    check(spec_of_lists(train_txt))
    build(spec_of_lists(train_txt, shuffle=False), tmp_path / "job", ignore_progress)
    assert (tmp_path / "job" / "train.txt").read_bytes() == train_txt
    with pytest.raises(BadInput, match=r"Line 1 of train.txt is not UTF-8 text"):
        check(spec_of_lists(os.fsencode(images) + b"/0/gone\xe9.png 0\n"))
