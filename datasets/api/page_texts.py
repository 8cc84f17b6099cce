"""What the pages of the dataset forms call their fields, and say about them."""

from collections.abc import Mapping
from typing import NamedTuple

from datasets.models import Depth, Encoding, ResizeMode

IMAGES_MISSING = "Choose images: a folder or an archive of this computer, or a folder of the server."
IMAGES = ("folder_train", "upload_train", "archive_train")  # the fields for which the page has one, "images"

SPLITS = {"train": "training", "val": "validation", "test": "test"}


class FieldText(NamedTuple):
    """A field's title, its help, and its unit."""

    title: str
    help: str = ""
    unit: str = ""


ENCODINGS = {**dict(Encoding.choices), Encoding.NONE.value: "uncompressed"}
LABELS = {"resize_mode": dict(ResizeMode.choices), "encoding": ENCODINGS, "depth": dict(Depth.choices)}
LABELS["resize_channels"] = {1: "grayscale", 3: "colour"}  # type: ignore[dict-item]

# The fields that the page's template places by name; those of GROUPS are under a heading.
PLACED = ("dataset_name", "method", *IMAGES, "resize_width", "resize_height")
GROUPS = {
    "splits": [
        "folder_pct_val",
        "folder_pct_test",
        "has_val_folder",
        "folder_val",
        "has_test_folder",
        "folder_test",
        "split_groups",
    ],
    "stored": ["resize_mode", "resize_channels", "encoding", "alpha_background", "depth"],
    "limits": [f"folder_{split}_{bound}_per_class" for split in SPLITS for bound in ("min", "max")],
}
TEXTS = {
    "dataset_name": FieldText("Name"),
    "folder_train": FieldText(
        "Folder of the server",
        "It holds one subfolder of images for each category, or folders train, val and test with such subfolders. An "
        "archive of such a folder (zip, tar) will do too.",
    ),
    "archive_train": FieldText("Archive", "A zip or tar with one folder of images for each category."),
    "resize_width": FieldText("Width", "Every image gets this width.", "pixels"),
    "resize_height": FieldText("Height", "Every image gets this height.", "pixels"),
    "resize_channels": FieldText("Colour"),
    "resize_mode": FieldText("If the shape differs", "What happens to images that are wider or higher than the size."),
    "encoding": FieldText("Stored as", "PNG keeps every pixel. JPEG takes less space, and changes images a little."),
    "alpha_background": FieldText(
        "Background of transparent images",
        "White, black, another colour by its name or as #rrggbb; or “ignore”, which keeps the colours under it.",
    ),
    "depth": FieldText("Images with 16 bits per channel", "Which of their values becomes white."),
    "group_name": FieldText("Group", "Jobs of a group can be found together on the first page."),
    "split_groups": FieldText(
        "Keep together",
        "“auto” keeps copies of an image in one split. A pattern of the files’ paths keeps a patient, a video or a "
        "product together too: {group} stands for its name, * for any text, as in */{group}_*. “column”: each line of "
        "your lists ends with that name. “off”: nothing.",
    ),
    "seed": FieldText("Seed", "The same number with the same images gives the same splits and the same order."),
    "folder_pct_val": FieldText(
        "For validation", "A training is measured on these images while it runs.", "% of each category"
    ),
    "folder_pct_test": FieldText("For test", "They are kept for a last judgement.", "% of each category"),
    "textfile_use_local_files": FieldText("The lists are files of the server"),
    "textfile_use_val": FieldText("There is a list for validation"),
    "textfile_use_test": FieldText("There is a list for test"),
    "textfile_labels_file": FieldText("Names of the categories", "A text file with one name on each line."),
    "textfile_local_labels_file": FieldText(
        "Names of the categories", "A text file of the server with one name on each line."
    ),
    "textfile_shuffle": FieldText("Store the images in a random order"),
    "prebuilt_train_images": FieldText(
        "Images for training", "An LMDB of Caffe Datum, or a RecordIO file, on the server."
    ),
    "prebuilt_train_labels": FieldText(
        "Their labels", "Another such database; empty if the images' own has the labels."
    ),
    "prebuilt_val_images": FieldText("Images for validation"),
    "prebuilt_val_labels": FieldText("Their labels"),
    "prebuilt_mean_file": FieldText("Mean image", "A .binaryproto or .npy file of the server; empty: it is computed."),
}
for _split, _word in SPLITS.items():
    TEXTS |= {
        f"has_{_split}_folder": FieldText(f"The images for {_word} are in a folder of their own"),
        f"folder_{_split}_min_per_class": FieldText(
            f"At least, for {_word}", "A category with fewer images is left out.", "images a category"
        ),
        f"folder_{_split}_max_per_class": FieldText(
            f"At most, for {_word}",
            "Of a larger category so many are drawn at random; empty: all.",
            "images a category",
        ),
        f"textfile_{_split}_images": FieldText(
            f"List for {_word}",
            "A text file: on each line the path of an image and the number of its category, from 0.",
        ),
        f"textfile_local_{_split}_images": FieldText(f"List for {_word}", "The same as a file of the server."),
        f"textfile_{_split}_folder": FieldText(
            f"Folder of the images for {_word}", "Where relative paths of the list begin."
        ),
    }
for _split in ("val", "test"):
    TEXTS[f"folder_{_split}"] = FieldText(f"Folder for {SPLITS[_split]}", "With the same subfolders.")


def errors_of_page(wrong: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The errors of a form by the fields of its page: those of an upload and of missing images belong to "images"."""
    moved = {name: messages for name, messages in wrong.items() if name not in IMAGES}
    for name in IMAGES:
        for message in wrong.get(name, ()):
            missing = name == "folder_train" and message == "This field is required."
            own = "folder_train" if name == "folder_train" and not missing else "images"
            moved.setdefault(own, []).append(IMAGES_MISSING if missing else message)
    return moved
