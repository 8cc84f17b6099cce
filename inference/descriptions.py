"""What each field of the inference forms means: shown on their pages and in the schema."""

_ASKED = {
    "job_id": "The model's id; it may stand in the query string instead.",
    "snapshot_epoch": "The epoch of the snapshot that answers; empty or -1: the newest.",
}
ONE_IMAGE = _ASKED | {
    "image_file": "The image, as an upload. This, image_path or image_url is needed.",
    "image_path": "A file of the server.",
    "image_url": "An address to fetch the image from, where the server does that (DIGITS_ALLOW_URLS), or a file of it.",
    "show_visualizations": "Whether the page shows the weights and activations of each layer.",
}
VISUALIZATIONS = {
    "visualizations": "Whether the answer has, under that key, the weights and activations of each layer."
}
IMAGE_LIST = _ASKED | {
    "image_list": "Upload, or the text itself: an image on each line, its path and perhaps a number. Required.",
    "image_folder": "Folder of the server that relative paths in the list begin with.",
    "num_test_images": "Only so many images from the top of the list; empty: all.",
}
TOP = IMAGE_LIST | {"top_n": "How many images of each category."}
DOWNLOAD = {"epoch": "The epoch of the snapshot; empty or -1: the newest."}
