"""Help texts of the dataset forms' fields, for the pages and the schema."""

DATASET_NAME = "The name of the dataset."

CLASSIFICATION = {
    "dataset_name": DATASET_NAME,
    "resize_channels": "3 for colour, 1 for grayscale.",
    "resize_width": "Width to which every image is resized, in pixels.",
    "resize_height": "Height to which every image is resized, in pixels.",
    "resize_mode": (
        "crop scales the image to cover the size and cuts the rest, squash changes the aspect ratio, fill "
        "scales to fit and pads the rest, half_crop is half way between crop and fill."
    ),
    "encoding": "How the images are stored: png and none are lossless, jpg is smaller.",
    "alpha_background": (
        "The background colour for transparent images: white, black, another name or #rrggbb; ignore drops the "
        "alpha channel and keeps the colours under it."
    ),
    "depth": (
        "How images with 16 bits per channel become 8-bit: auto scales by the range that the images use, full by "
        "the whole range of 16 bits."
    ),
    "seed": "The same seed with the same images gives the same splits and the same order.",
}

GENERIC = {"dataset_name": DATASET_NAME}
