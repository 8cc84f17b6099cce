"""Records that are copied in blocks have the bytes that a writer gives them."""

import numpy as np
import pytest

from datasets.imagedb.store import record_blocks
from datasets.imagedb.store.record_format import MAGIC, index_path
from datasets.imagedb.store.records import DamagedRecords, RecordReader, RecordWriter

SMALL = [bytes([number]) * (number % 7) for number in range(50)]
PAYLOADS = {
    "small": SMALL,
    "with MAGIC": [*SMALL, MAGIC, MAGIC * 3 + b"x", b"1234" + MAGIC],
    "larger than a block": [bytes(3 << 20), b"a", bytes(5 << 20), bytes(5 << 20), b"b", bytes(3 << 20)],
}


def written(path, payloads, labels):
    with RecordWriter(path) as writer:
        for label, payload in zip(labels, payloads, strict=True):
            writer.write(label, payload)
    return path


@pytest.mark.parametrize("payloads", PAYLOADS.values(), ids=PAYLOADS)
def test_copied_records_have_the_bytes_of_written_ones(tmp_path, payloads):
    labels = np.arange(len(payloads)) % 5
    kept = np.array([number for number in range(len(payloads)) if number % 4 != 1])
    wanted = written(tmp_path / "wanted.rec", [payloads[number] for number in kept], labels[kept] + 1)
    source = written(tmp_path / "source.rec", payloads, labels)
    with RecordReader(source) as reader, RecordWriter(tmp_path / "copy.rec") as writer:
        assert record_blocks.labels(reader).tolist() == labels.tolist()
        record_blocks.copy(reader, kept, labels[kept] + 1, writer, lambda fraction: None)
    for path in (lambda of: of, index_path):
        assert path(tmp_path / "copy.rec").read_bytes() == path(wanted).read_bytes()


def test_records_are_copied_in_the_order_of_an_index_that_is_another(tmp_path):
    source = written(tmp_path / "source.rec", SMALL, range(50))
    lines = index_path(source).read_text().splitlines()
    index_path(source).write_text("".join(f"{line}\n" for line in reversed(lines)))
    with RecordReader(source) as reader, RecordWriter(tmp_path / "copy.rec") as writer:
        assert record_blocks.labels(reader).tolist() == list(range(49, -1, -1))
        record_blocks.copy(reader, np.arange(50), np.arange(50), writer, lambda fraction: None)
    with RecordReader(tmp_path / "copy.rec") as reader:
        assert [reader[number] for number in range(50)] == list(enumerate(reversed(SMALL)))


@pytest.mark.parametrize("byte", [0, 5])
def test_damaged_records_are_not_copied(tmp_path, byte):
    source = written(tmp_path / "source.rec", SMALL, range(50))
    with RecordReader(source) as reader, RecordWriter(tmp_path / "copy.rec") as writer:
        content = bytearray(source.read_bytes())
        content[int(reader.offsets[20]) + byte] ^= 0x10  # of MAGIC, and of the length
        source.write_bytes(content)
        with pytest.raises(DamagedRecords, match="no whole records"):
            record_blocks.copy(reader, np.arange(50), np.arange(50), writer, lambda fraction: None)
