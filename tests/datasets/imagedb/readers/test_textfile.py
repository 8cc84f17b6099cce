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
def lists(tmp_path, images):
    """Spec for text files of these contents, which the user calls train.txt, val.txt, … ."""

    def source(name, content):
        file = tmp_path / f"uploaded {name}"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TextSource(file, f"{name}.txt", images)

    def lists(train, labels="nought\none\ntwo\n", roots=(), **others):
        splits = {name: source(name, others.pop(name)) for name in ("val", "test") if name in others}
        small = {"width": 8, "height": 8, "channels": 1, "workers": 2}
        if roots:
            small["roots"] = roots
        return Spec(train=source("train", train), labels=source("labels", labels), **splits, **small | others)

    return lists


EVERY = "".join(f"{digit}/{number:03}.png {digit}\n" for digit in range(3) for number in range(6))


def labels_and_paths(directory, split="train"):
    lines = (directory / f"{split}.txt").read_text().splitlines()
    return [(int(label), path) for path, label in (line.rsplit(" ", 1) for line in lines)]


def test_a_list_of_digits_becomes_databases_with_the_labels_of_its_lines(lists, tmp_path, images):
    built = build(lists(EVERY, val="0/000.png 2\n1/001.png 0\n"), tmp_path / "job", ignore_progress)
    assert built.categories == ["nought", "one", "two"]
    assert built.splits == [BuiltSplit("train", 18, [6, 6, 6]), BuiltSplit("val", 2, [1, 0, 1])]
    assert built.warnings == ["Without images in val: one."]
    with RecordReader(tmp_path / "job" / "train.rec") as reader:
        for number, (label, path) in enumerate(labels_and_paths(tmp_path / "job")):
            assert path.startswith(f"{images}/{label}/")
            assert reader[number][0] == label
            wanted = read_array(images / path, 8, 8, 1, "squash")
            assert np.array_equal(decode_record(reader[number][1]), wanted)


def test_without_shuffle_the_order_of_the_lines_stays_and_with_it_the_seed_decides(lists, tmp_path):
    orders = []
    for number, changes in enumerate([{"shuffle": False}, {"seed": 1}, {"seed": 1}, {"seed": 2}]):
        build(lists(EVERY, **changes), tmp_path / str(number), ignore_progress)
        orders.append(labels_and_paths(tmp_path / str(number)))
    assert orders[0] == sorted(orders[0])
    assert orders[1] == orders[2]
    assert len({str(order) for order in orders}) == 3


def test_spaces_quotes_blank_lines_windows_line_ends_and_a_byte_order_mark(lists, tmp_path, images):
    (images / "0" / "000.png").rename(images / "a b  c.png")
    absolute = images / "1" / "000.png"
    text = f"\ufeff\"a b  c.png\" 0\r\n\r\n  a b  c.png\t2\r\n{absolute}   1\r\n'2/000.png' 2"
    build(lists(text, shuffle=False), tmp_path / "job", ignore_progress)
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
        ("0/000.png 0\n1\n", "Line 2 of train.txt is '1'; a path and the number of its category are wanted"),
        ("0/000.png", "Line 1 of train.txt is '0/000.png'; a path and the number of its category are wanted"),
        ('"" 1', "Line 1 of train.txt names no path."),
        ("a\0b 1", "Line 1 of train.txt names no path."),
        (b"0/000.png 0\n\xff\xfe 1\n", "Line 2 of train.txt is not UTF-8 text."),
        ("x" * 20_000, "Line 1 of train.txt is longer than 16384 bytes; is this text?"),
        ("\n \r\n", "train.txt lists no images."),
    ],
)
def test_a_wrong_line_is_named_with_its_file(lists, lines, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        check(lists(lines))


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
def test_a_wrong_line_of_the_labels_is_named_too(lists, labels, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        check(lists(EVERY, labels))


def test_every_wrong_file_is_told_of_at_once(lists):
    wrong = check_lists(lists("train", "only one", val="0/000.png 2", test="test"))
    assert set(wrong) == {"labels", "train", "test"}


def test_a_line_of_the_validation_list_is_checked_as_well(lists):
    with pytest.raises(BadInput, match=r"Line 1 of val.txt: the label '7' is out of range"):
        check(lists(EVERY, val="0/000.png 7"))


def test_a_relative_path_needs_a_folder(tmp_path):
    (tmp_path / "list").write_text("0/000.png 0\n")
    (tmp_path / "labels").write_text("a\nb\n")
    source = TextSource(tmp_path / "list", "list.txt")
    with pytest.raises(BadInput, match=r"Line 1 of list.txt: '0/000.png' is a relative path; name the folder"):
        check(Spec(source, labels=TextSource(tmp_path / "labels", "labels.txt")))


def test_an_image_that_is_not_there_is_skipped_and_logged(lists, tmp_path, images):
    built = build(lists(EVERY + "0/gone.png 0\n"), tmp_path / "job", ignore_progress)
    assert (built.splits[0].entries, built.skipped) == (18, 1)
    assert f"skipped {images}/0/gone.png: No such file or directory" in (tmp_path / "job" / "build.log").read_text()


def test_a_category_without_images_keeps_its_number(lists, tmp_path):
    built = build(lists("0/000.png 0\n2/000.png 2\n"), tmp_path / "job", ignore_progress)
    assert built.categories == ["nought", "one", "two"]
    assert built.splits[0].per_category == [1, 0, 1]
    assert built.warnings == ["Without an image for training that can be read: one."]


def test_images_of_one_category_only_are_the_users_error(lists, tmp_path):
    with pytest.raises(BadInput, match="Only one category has images for training that can be read"):
        build(lists("0/000.png 1\n0/001.png 1\n"), tmp_path / "job", ignore_progress)


def test_a_path_or_a_link_that_leads_out_of_the_roots_is_skipped_without_a_word_on_what_is_there(
    lists, tmp_path, images
):
    outside = tmp_path / "outside.png"
    os.link(images / "0" / "000.png", outside)
    (images / "link.png").symlink_to(outside)
    wrong = f"link.png 0\n{outside} 0\n../outside.png 0\n/no/such/file.png 0\n"
    built = build(lists(EVERY + wrong, roots=(images,)), tmp_path / "job", ignore_progress)
    assert (built.splits[0].entries, built.skipped) == (18, 4)
    log = (tmp_path / "job" / "build.log").read_text()
    assert log.count(": it is not in a folder that this server may read\n") == 4


FOREIGN = {
    r"C:\data\0\000.png 0": "is a path of Windows. Write the path that the file has on the server",
    "d:/data/0/000.png 0": "is a path of Windows",
    r"\\nas\photos\0\000.png 0": "is a path of Windows",
    "http://example.com/1.png 0": "is a URL. Only images that lie on the server can be listed here",
    "s3://bucket/1.png 0": "is a URL",
    "~/data/1.png 0": "begins with ~, which only a shell knows. Write the whole path, from / on",
    "~ada/data/1.png 0": "begins with ~",
}


@pytest.mark.parametrize("has_folder", [True, False])
@pytest.mark.parametrize("line", FOREIGN)
def test_a_path_that_can_not_be_one_of_the_server_is_called_what_it_is(lists, line, has_folder):
    wanted = lists(f"0/000.png 0\n{line}\n" if has_folder else line)
    source = replace(wanted.train, folder=wanted.train.folder if has_folder else None)
    with pytest.raises(BadInput, match=rf"Line {1 + has_folder} of train.txt: ") as refusal:
        check(replace(wanted, train=source))
    assert FOREIGN[line] in str(refusal.value)
    assert "relative path" not in str(refusal.value)


def test_backslashes_between_the_folders_of_a_relative_path_are_slashes(lists, tmp_path, images):
    build(lists(EVERY.replace("/", "\\"), shuffle=False), tmp_path / "job", ignore_progress)
    assert labels_and_paths(tmp_path / "job")[0] == (0, f"{images}/0/000.png")


def test_a_list_for_im2rec_is_read(lists, tmp_path, images):
    lines = "".join(f"{n}\t{label}.000000\t{label}/{n:03}.png\n" for n in range(4) for label in (0, 1))
    built = build(lists(lines, val="7\t1\t1/005.png\n", shuffle=False), tmp_path / "job", ignore_progress)
    assert [split.per_category for split in built.splits] == [[4, 4, 0], [0, 1, 0]]
    assert labels_and_paths(tmp_path / "job")[:2] == [(0, f"{images}/0/000.png"), (1, f"{images}/1/000.png")]


@pytest.mark.parametrize(
    "line, message",
    [
        ("0\t1.500000\t0/000.png", "Line 1 of train.txt: the label '1.500000' is not a number."),
        ("0\t7.000000\t0/000.png", "Line 1 of train.txt: the label '7' is out of range (0 to 2)."),
        ("0\t1.000000\tdata/000.png", "train.txt is a list for im2rec, and its first image, '"),
        ("0\t2\t5\t0.1\t0.2\t0/000.png", "Line 1 of train.txt has 4 labels, as lists for detecting objects have"),
    ],
)
def test_a_wrong_line_of_a_list_for_im2rec_is_named(lists, line, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        check(lists(line))


def test_lines_may_end_with_cr_alone_as_on_old_macs(lists, tmp_path):
    built = build(
        lists(EVERY.replace("\n", "\r"), labels="nought\rone\rtwo\r", val="0/000.png 0\r1/000.png 1"),
        tmp_path / "job",
        ignore_progress,
    )
    assert built.categories == ["nought", "one", "two"]
    assert [split.entries for split in built.splits] == [18, 2]


def test_a_wrong_line_that_ends_with_cr_is_named_by_its_number(lists):
    with pytest.raises(BadInput, match=r"Line 2 of train.txt: the label 'cat' is not a number"):
        check(lists("0/000.png 0\r0/001.png cat\r"))


def test_utf16_is_called_by_its_name(lists):
    with pytest.raises(BadInput, match=r"Line 1 of train.txt is not UTF-8 text. It may be UTF-16, as PowerShell"):
        check(lists(EVERY.encode("utf-16")))


def test_the_lists_that_a_build_wrote_make_a_dataset_again_whatever_bytes_are_in_a_name(lists, tmp_path, images):
    (images / "0" / "000.png").rename(os.fsdecode(os.fsencode(images) + b"/0/caf\xe9.png"))
    names = [os.fsencode(path) for path in sorted(images.rglob("*.png"))]
    own = b"".join(b"%s %d\n" % (name, number % 3) for number, name in enumerate(names))
    check(lists(own))
    build(lists(own, shuffle=False), tmp_path / "job", ignore_progress)
    assert (tmp_path / "job" / "train.txt").read_bytes() == own
    with pytest.raises(BadInput, match=r"Line 1 of train.txt is not UTF-8 text"):
        check(lists(os.fsencode(images) + b"/0/gone\xe9.png 0\n"))
