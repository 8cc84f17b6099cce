"""Record files (RecordIO): reading, writing, damage, and compatibility with MXNet."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.payloads import encode, encode_image
from datasets.imagedb.store.records import MAGIC, DamagedRecords, RecordReader, RecordWriter
from models_app.training.engines.mxnet.compat import mx
from tests.support.samples.imagedb_samples import digits, photo

# The format splits a record where it contains MAGIC: at the start, at the end, twice in a row, and not aligned.
PAYLOADS = [
    b"",
    b"a",
    MAGIC,
    MAGIC * 3,
    MAGIC + b"a",
    b"abcd" + MAGIC,
    b"a" + MAGIC + b"bcd",
    b"abcd" + MAGIC + b"efghi",
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.rec"


def write(path, payloads):
    with RecordWriter(path) as writer:
        for number, payload in enumerate(payloads):
            writer.write(number % 3, payload)
    return path


def test_records_are_read_as_they_were_written(path):
    with RecordReader(write(path, PAYLOADS)) as reader:
        assert [reader[number] for number in range(len(reader))] == [(n % 3, p) for n, p in enumerate(PAYLOADS)]


def test_a_record_reader_has_the_indexes_of_a_list(path):
    with RecordReader(write(path, [b"first", b"last"])) as reader:
        assert reader[-1] == (1, b"last")
        with pytest.raises(IndexError):
            reader[2]


def test_a_record_file_has_the_same_bytes_as_one_of_mxnet(path, tmp_path):
    write(path, PAYLOADS)
    mxnet_file = mx.recordio.MXIndexedRecordIO(str(tmp_path / "mx.idx"), str(tmp_path / "mx.rec"), "w")
    for number, payload in enumerate(PAYLOADS):
        mxnet_file.write_idx(number, mx.recordio.pack(mx.recordio.IRHeader(0, number % 3, number, 0), payload))
    mxnet_file.close()
    assert path.read_bytes() == (tmp_path / "mx.rec").read_bytes()
    assert path.with_suffix(".idx").read_text() == (tmp_path / "mx.idx").read_text()


def test_mxnet_reads_records_by_index(path):
    write(path, PAYLOADS)
    mxnet_file = mx.recordio.MXIndexedRecordIO(str(path.with_suffix(".idx")), str(path), "r")
    unpacked = [mx.recordio.unpack(mxnet_file.read_idx(number)) for number in range(len(PAYLOADS))]
    assert [(header.label, header.id, payload) for header, payload in unpacked] == [
        (number % 3, number, payload) for number, payload in enumerate(PAYLOADS)
    ]


def gray_images():
    return digits()[0][:20, :, :, None]


def colour_images():
    """Twenty crops of a photo, 8×8 pixels each."""
    return photo("flower.jpg")[200:208, 200:360].reshape(8, 20, 8, 3).swapaxes(0, 1)


@pytest.mark.parametrize("encoding", ["none", "png"])
@pytest.mark.parametrize("images, channels", [(gray_images(), 1), (colour_images(), 3)], ids=["gray", "colour"])
def test_the_image_iterator_of_mxnet_reads_every_pixel(path, encoding, images, channels):
    write(path, [encode(image, encoding) for image in images])
    shape = (channels, 8, 8)
    iterator = mx.io.ImageRecordIter(path_imgrec=str(path), data_shape=shape, batch_size=20, preprocess_threads=1)
    batch = next(iterator)
    np.testing.assert_array_equal(batch.data[0].asnumpy(), images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(batch.label[0].asnumpy(), [number % 3 for number in range(20)])


def test_a_record_writer_can_replace_labels_before_it_is_closed(path):
    with RecordWriter(path) as writer:
        for label in (0, 2, 2, 0):
            writer.write(label, MAGIC * 2)
        writer.relabel([5, -1, 1])
    with RecordReader(path) as reader:
        assert [reader[number] for number in range(4)] == [(label, MAGIC * 2) for label in (5, 1, 1, 5)]


def test_a_record_file_appears_only_when_its_writer_is_closed(path):
    with RecordWriter(path) as writer:
        writer.write(0, b"payload")
        assert not path.exists()
        assert not path.with_suffix(".idx").exists()
    assert {file.name for file in path.parent.iterdir()} == {"train.rec", "train.idx"}


def test_a_record_writer_leaves_no_files_after_an_error(path):
    with pytest.raises(TypeError):
        write(path, [b"payload", None])
    assert list(path.parent.iterdir()) == []


def test_threads_can_share_a_record_reader(path):
    payloads = [bytes([number % 256]) * number for number in range(500)]
    with RecordReader(write(path, payloads)) as reader, ThreadPoolExecutor(8) as threads:
        assert [payload for _, payload in threads.map(reader.__getitem__, range(500))] == payloads


def test_a_record_file_without_records_has_length_0(path):
    with RecordReader(write(path, [])) as reader:
        assert len(reader) == 0


@pytest.mark.parametrize("missing", [1, 4, 9, 40, 60])
def test_a_truncated_record_file_is_rejected_when_it_is_opened(path, missing):
    content = write(path, [b"x" * 21, b"y" * 21]).read_bytes()
    path.write_bytes(content[:-missing])
    with pytest.raises(DamagedRecords, match=r"train\.rec is damaged: .* Build the dataset again"):
        RecordReader(path)


def test_a_damaged_record_is_rejected_when_it_is_read(path):
    content = bytearray(write(path, [b"x" * 20, b"y" * 20, b"z" * 20]).read_bytes())
    second = int(RecordReader(path).offsets[1])
    content[second] ^= 0xFF
    path.write_bytes(content)
    with RecordReader(path) as reader:
        assert reader[0] == (0, b"x" * 20)
        with pytest.raises(DamagedRecords, match=f"no record begins at byte {second}"):
            reader[1]
        assert reader[2] == (2, b"z" * 20)


def test_a_missing_record_file_and_a_missing_index_have_different_errors(path):
    with pytest.raises(DamagedRecords, match=r"train\.rec does not exist"):
        RecordReader(path)
    write(path, [b"x"]).with_suffix(".idx").unlink()
    with pytest.raises(DamagedRecords, match=r"train\.idx does not exist; it is the index of train\.rec"):
        RecordReader(path)


@pytest.mark.parametrize("text", ["0\t0\n1\n", "zero\tone\n", "0\t-4\n", "0\t4000\n", "0\t2\n", ""])
def test_an_invalid_record_index_is_rejected(path, text):
    write(path, [b"x"]).with_suffix(".idx").write_text(text)
    with pytest.raises(DamagedRecords, match="Build the dataset again"):
        RecordReader(path)


@pytest.mark.parametrize("encoding", ["none", "png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_record_encodings_keep_every_pixel(encoding, channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    np.testing.assert_array_equal(decode_record(encode(image, encoding)), image)


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (32, 32, 3), (182, 180), (104, 105, 3), (300, 200, 3)])
@pytest.mark.parametrize("highest", [1, 256])
def test_a_png_record_has_the_bytes_that_pillow_writes(shape, highest):
    """Of images of one colour and of noise, which compresses worst, up to the largest small one and above."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, highest, shape, np.uint8))
    expected = io.BytesIO()
    image.save(expected, "PNG", compress_level=1)
    assert encode_image(image, "png") == expected.getvalue()
