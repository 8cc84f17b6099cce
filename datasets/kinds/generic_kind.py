"""The kind of datasets whose images have labels of any shape, or no labels."""

from datasets import imagedb
from datasets.kinds.dataset_kind import DatasetKind, describe_image


class GenericDatasets(DatasetKind):
    """The images keep their size. Labels are arrays, stored with the images or in record files of their own."""

    name = "generic"
    label = "Generic Image Dataset"

    def build(self, dataset, report):
        built = imagedb.build_prebuilt(dataset.spec(), dataset.directory, report)
        return columns_of(built)

    def describe_tasks(self, dataset):
        image = describe_image(dataset)
        return {
            "AnalyzeDbTasks": [
                {"name": f"Analyze DB ({split['name']})", "image_count": split["entries"], **image}
                for split in dataset.splits
            ]
        }


def columns_of(built: imagedb.Prebuilt) -> dict:
    """The columns of a row whose databases were built by another program."""
    channels, height, width = built.image_shape
    return {
        "resize_channels": channels,
        "resize_height": height,
        "resize_width": width,
        "label_shape": built.label_shape,
        "splits": [{"name": name, "entries": count} for name, count in built.entries.items()],
        "warnings": built.warnings,
    }
