"""Help texts of the dataset forms' fields, for the pages and the schema."""

DATASET_NAME = "What the dataset is called."

CLASSIFICATION = {
    "dataset_name": DATASET_NAME,
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
    "seed": "The same seed and images give the same split and order.",
}

GENERIC = {"dataset_name": DATASET_NAME}
