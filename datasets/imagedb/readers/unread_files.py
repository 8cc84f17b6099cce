"""Gives the reason why a file in a folder of images is not read, unless it is plainly not an image.

The report should name an image that is left out, but not a README beside the images. Most files can be recognised by
name or content. A file that can't counts as an image, because leaving out an image silently is the worse mistake.
"""

from __future__ import annotations

import re

from datasets.imagedb.images.formats import READABLE, SUFFIXES, sniff

HEAD_BYTES = 512  # of a file, to recognise it
EMPTY = "the file is empty"
NOT_AN_IMAGE = f"its content is not that of a {READABLE} file"

# The first bytes of image formats that are not supported.
_OTHER_FORMATS = (
    ("HEIF of this kind", re.compile(rb"....ftyp(mif[12]|msf1|miaf|heif|avci|avcs|jpe[gs]|j2ki)", re.DOTALL)),
    ("Canon CR3", re.compile(rb"....ftypcrx ", re.DOTALL)),
    ("JPEG 2000", re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
    ("JPEG XL", re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("Canon CR2", re.compile(rb"II\*\0.{4}CR", re.DOTALL)),
    ("JPEG XR", re.compile(rb"II\xbc")),
    ("Olympus ORF", re.compile(rb"IIR[OS]|MMOR")),
    ("Panasonic RW2", re.compile(rb"IIU\0")),
    ("Fujifilm RAF", re.compile(rb"FUJIFILMCCD-RAW")),
    ("Sigma X3F", re.compile(rb"FOVb")),
    ("Photoshop", re.compile(rb"8BPS")),
    ("GIMP", re.compile(rb"gimp xcf ")),
    ("OpenEXR", re.compile(rb"v/1\x01")),
    ("Radiance HDR", re.compile(rb"#\?(RADIANCE|RGBE)")),
    ("DDS", re.compile(rb"DDS \x7c")),
    ("ICO", re.compile(rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0", re.DOTALL)),
    ("PBM", re.compile(rb"P[1-4]\s")),
    ("PAM", re.compile(rb"P7\n")),
    ("PFM", re.compile(rb"P[Ff]\n")),
    ("BPG", re.compile(rb"BPG\xfb")),
    ("QOI", re.compile(rb"qoif")),
    ("FITS", re.compile(rb"SIMPLE  =")),
    ("DICOM", re.compile(rb".{128}DICM", re.DOTALL)),
)
_SUFFIXES = {
    # Image formats by the suffix of the file name.
    ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".j2c": "JPEG 2000", ".jpf": "JPEG 2000", ".jpx": "JPEG 2000",
    ".jpc": "JPEG 2000", ".jxl": "JPEG XL", ".jxr": "JPEG XR", ".wdp": "JPEG XR", ".hdp": "JPEG XR",
    ".gif": "GIF", ".tga": "TGA", ".icb": "TGA", ".vda": "TGA", ".vst": "TGA",
    ".pbm": "PBM", ".pam": "PAM", ".pfm": "PFM", ".pcx": "PCX", ".ico": "ICO", ".cur": "ICO", ".psd": "Photoshop",
    ".psb": "Photoshop", ".xcf": "GIMP", ".exr": "OpenEXR", ".hdr": "Radiance HDR", ".dds": "DDS", ".bpg": "BPG",
    ".qoi": "QOI", ".svg": "SVG", ".svgz": "SVG", ".eps": "EPS", ".ps": "PostScript", ".ai": "Illustrator",
    ".wmf": "WMF", ".emf": "EMF", ".sgi": "SGI", ".rgb": "SGI", ".bw": "SGI", ".ras": "Sun raster",
    ".xbm": "XBM", ".xpm": "XPM", ".pict": "PICT", ".pct": "PICT", ".djvu": "DjVu", ".fits": "FITS", ".fit": "FITS",
    ".fts": "FITS", ".dcm": "DICOM", ".dicom": "DICOM", ".ima": "DICOM", ".nii": "NIfTI", ".mha": "MetaImage",
    ".nrrd": "NRRD",
}  # fmt: skip
_CAMERAS = {
    # Most of these are built on TIFF.
    ".raw": "RAW", ".cr2": "Canon CR2", ".cr3": "Canon CR3", ".crw": "Canon CRW", ".nef": "Nikon NEF",
    ".nrw": "Nikon NRW", ".arw": "Sony ARW", ".srf": "Sony SRF", ".sr2": "Sony SR2", ".dng": "DNG",
    ".orf": "Olympus ORF", ".rw2": "Panasonic RW2", ".raf": "Fujifilm RAF", ".pef": "Pentax PEF", ".srw": "Samsung SRW",
    ".x3f": "Sigma X3F", ".3fr": "Hasselblad 3FR", ".iiq": "Phase One IIQ", ".erf": "Epson ERF", ".kdc": "Kodak KDC",
    ".dcr": "Kodak DCR", ".mrw": "Minolta MRW", ".rwl": "Leica RWL", ".mos": "Leaf MOS", ".mef": "Mamiya MEF",
}  # fmt: skip


def _suffixes(text):
    return frozenset(f".{suffix}" for suffix in text.split())


_READ_SUFFIXES = frozenset(SUFFIXES)
_TEXTS = _suffixes("""
    txt text md rst tex log csv tsv json jsonl ndjson geojson xml yaml yml html htm css rtf srt vtt ini cfg conf toml
    names data lst list lock py pyc ipynb js ts sh bat ps1 c h cpp hpp java m r sql php go rs xmp aae url lnk webloc
    torrent md5 sha1 sha256 sig
""")
_DOCUMENTS_AND_FILMS = _suffixes("""
    pdf doc docx xls xlsx ppt pptx odt ods odp zip tar gz tgz bz2 xz 7z rar zst mp3 wav flac ogg m4a aac mp4 mov avi mkv
    webm m4v mpg mpeg wmv flv 3gp thm lrv
""")
_DATA_AND_PROGRAMS = _suffixes("""
    npy npz mat pkl pickle h5 hdf5 parquet feather arrow tfrecord rec idx mdb lmdb pt pth ckpt onnx pb tflite caffemodel
    prototxt binaryproto safetensors ply obj stl db sqlite sqlite3 exe dll so dylib jar class bak tmp part crdownload
""")
_OTHER_SUFFIXES = _TEXTS | _DOCUMENTS_AND_FILMS | _DATA_AND_PROGRAMS
_OTHER_CONTENT = re.compile(
    rb"%PDF|PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x7fELF|MZ|SQLite format 3|\x89HDF|\x93NUMPY|ID3|OggS|fLaC"
    rb"|RIFF.{4}(WAVE|AVI )|....ftyp(isom|iso[2-9]|mp4[12]|qt  |M4[AV] |3gp|avc1|dash)|\x1aE\xdf\xa3",
    re.DOTALL,
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def judge(name: str, head: bytes) -> tuple[bool, str | None]:
    """Whether a file with this name and these first HEAD_BYTES is a supported image, and if not, the reason; None
    for a file that is plainly not an image."""
    format_name, camera = sniff(head), _CAMERAS.get(_suffix(name))
    if format_name == "TIFF" and camera:
        return False, _not_read(camera)
    return (True, None) if format_name else (False, _why_not_read(_suffix(name), head))


def _why_not_read(suffix, head):
    named = _SUFFIXES.get(suffix) or _CAMERAS.get(suffix)
    found = next((format_name for format_name, signature in _OTHER_FORMATS if signature.match(head)), None)
    if not head and (named or suffix in _READ_SUFFIXES):
        return EMPTY
    if (found or named) and suffix not in _OTHER_SUFFIXES:
        return _not_read(found or named)
    if suffix in _READ_SUFFIXES:
        return NOT_AN_IMAGE
    return None if suffix in _OTHER_SUFFIXES or _is_something_else(head) else NOT_AN_IMAGE


def _not_read(format_name):
    return f"{format_name} is not supported: save it as PNG or JPEG"


def is_named_otherwise(name: str) -> bool:
    """Whether an unreadable file is, by its name, plainly not an image."""
    return _suffix(name) in _OTHER_SUFFIXES


def _is_something_else(head):
    """Whether the file is empty, a text, a document, an archive, a video or a sound."""
    if not head or _OTHER_CONTENT.match(head):
        return True
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # otherwise only its last character is cut off
            return False
    return _CONTROL.search(head) is None


def _suffix(name):
    dot = name.rfind(".")
    return name[dot:].lower() if dot >= 0 else ""
