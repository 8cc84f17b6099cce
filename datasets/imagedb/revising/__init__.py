"""Makes a revision of a built dataset: its records without some images, and with other labels of some."""
