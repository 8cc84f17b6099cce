"""Archives of images, valid and hostile. Those that no tool would write are put together byte by byte."""

import io
import struct
import tarfile
import zipfile
from functools import cache

from PIL import Image

from tests.support.samples.imagedb_samples import digits


@cache
def digit_png(digit, number):
    """One handwritten digit as PNG."""
    images, targets = digits()
    buffer = io.BytesIO()
    Image.fromarray(images[targets == digit][number]).save(buffer, "PNG")
    return buffer.getvalue()


def digit_files(top="", counts=(3, 4)):
    """{name: content} of counts[digit] images of each digit, in a folder named after it, and of files to leave out."""
    named = {f"{top}{digit}/{n}.png": digit_png(digit, n) for digit, count in enumerate(counts) for n in range(count)}
    litter = {f"__MACOSX/{top}0/._0.png": b"\0\5\x16\7", f"{top}0/.DS_Store": b"x", f"{top}0/README.txt": b"digits"}
    return named | litter


def zip_of(members, compression=zipfile.ZIP_DEFLATED):
    """Members are (name or ZipInfo, content), or a dictionary of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(members, mode="w"):
    """Members are (name or TarInfo, content), or a dictionary of them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_entry(name, kind, target=""):
    """The header of a member of this type, which has no content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_entry(name, mode):
    """The header of a member with this Unix mode."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def raw_tar(name=b"0/0.png", size=b"00000000000", kind=b"0", content=b"", end=bytes(1024)):
    """A tar of one member whose header has exactly these bytes in its fields."""
    header = bytearray(512)
    header[: len(name)] = name
    header[100:108], header[108:116], header[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    header[124 : 124 + len(size)] = size
    header[136:148], header[148:156], header[156:157] = b"00000000000\0", b" " * 8, kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512) + end


def replace_bytes(archive, *changes):
    """The archive with every occurrence of some bytes replaced: changes are (old, new)."""
    for old, new in changes:
        assert old in archive
        archive = archive.replace(old, new)
    return archive


def zip_with_directory_size(size):
    """A zip whose end record states a central directory of this many bytes."""
    return b"PK\x03\x04" + bytes(size) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, size, 4, 0)


FORMS = {
    "zip": zip_of,
    "stored.zip": lambda members: zip_of(members, zipfile.ZIP_STORED),
    "tar": tar_of,
    "tar.gz": lambda members: tar_of(members, "w:gz"),
    "tgz": lambda members: tar_of(members, "w:gz"),
    "tar.bz2": lambda members: tar_of(members, "w:bz2"),
}
