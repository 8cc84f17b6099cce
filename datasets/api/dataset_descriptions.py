"""What each field of the dataset forms means: shown on their pages and in the schema."""

_MIN_PER_CLASS = "A category with fewer images than this is left out."
_MAX_PER_CLASS = "Of a category at most so many images, drawn at random; empty: all."
_LIST = "Upload: an image on each line, its path and its category's number, from 0; or a list for MXNet's im2rec."
_LOCAL = "The same as a file of the server, with textfile_use_local_files."
_PREFIX = "Folder of the server that relative paths in the list begin with."

DATASET_NAME = "What the dataset is called."

CLASSIFICATION = {
    "dataset_name": DATASET_NAME,
    "method": "folder: one subfolder of images for each category. textfile: lists of images and their categories.",
    "resize_channels": "3 for colour, 1 for grayscale.",
    "resize_width": "Width to which every image is resized, in pixels.",
    "resize_height": "Height to which every image is resized, in pixels.",
    "resize_mode": "crop covers and cuts, squash changes the aspect ratio, fill pads, half_crop is between both.",
    "encoding": "How the images are kept: png and none lose nothing, jpg is smaller.",
    "alpha_background": (
        "The colour that transparent images are put onto: white, black, another name or #rrggbb; ignore drops the "
        "alpha channel and keeps the colours under it."
    ),
    "depth": ("Of images of 16 bits a channel: auto scales by the bits that they use, full takes all of the 16."),
    "folder_train": (
        "Folder of the server with one subfolder for each category, or an archive of one (zip, tar, tar.gz, tar.bz2). "
        "It may hold train, val and test folders instead, which are used as the splits. With method=folder this or "
        "archive_train is required."
    ),
    "archive_train": "Upload: such an archive, instead of folder_train; folders around the categories are fine.",
    "folder_pct_val": "Percent of each category for validation; not used with has_val_folder.",
    "folder_pct_test": "Percent of each category for testing; not used with has_test_folder.",
    "folder_train_min_per_class": _MIN_PER_CLASS,
    "folder_train_max_per_class": _MAX_PER_CLASS,
    "has_val_folder": "Whether the images for validation lie in a folder of their own.",
    "folder_val": "That folder, with the same subfolders as folder_train.",
    "folder_val_min_per_class": _MIN_PER_CLASS,
    "folder_val_max_per_class": _MAX_PER_CLASS,
    "has_test_folder": "Whether the images for testing lie in a folder of their own.",
    "folder_test": "That folder, with the same subfolders as folder_train.",
    "folder_test_min_per_class": _MIN_PER_CLASS,
    "folder_test_max_per_class": _MAX_PER_CLASS,
    "textfile_use_local_files": "Whether the lists are files of the server, not uploads.",
    "textfile_use_val": "Whether there is a list for validation.",
    "textfile_use_test": "Whether there is a list for testing.",
    "textfile_train_images": _LIST,
    "textfile_val_images": _LIST,
    "textfile_test_images": _LIST,
    "textfile_labels_file": "Upload: the name of a category on each line; the first is category 0.",
    "textfile_local_train_images": _LOCAL,
    "textfile_local_val_images": _LOCAL,
    "textfile_local_test_images": _LOCAL,
    "textfile_local_labels_file": _LOCAL,
    "textfile_train_folder": _PREFIX,
    "textfile_val_folder": _PREFIX,
    "textfile_test_folder": _PREFIX,
    "textfile_shuffle": "Whether the images are stored in a random order.",
    "seed": "The same seed and images give the same split and order.",
}

_LABELS = "Database of their labels, when they are not in the images' own."

GENERIC = {
    "dataset_name": DATASET_NAME,
    "method": "prebuilt: databases that were built elsewhere.",
    "prebuilt_train_images": "LMDB of Caffe Datum or a RecordIO file, on the server: the images to train on.",
    "prebuilt_train_labels": _LABELS,
    "prebuilt_val_images": "The same with the images for validation.",
    "prebuilt_val_labels": _LABELS,
    "prebuilt_mean_file": "Mean image, .binaryproto or .npy, on the server; empty: it is computed.",
}
