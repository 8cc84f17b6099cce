"""The kind of datasets whose images each have one of several categories."""

from dataclasses import asdict

from datasets.kinds.dataset_kind import DatasetKind, describe_image


class ClassificationDatasets(DatasetKind):
    """Images are resized to one size; the label of a record is the number of its category."""

    name = "classification"
    label = "Image Classification Dataset"
    has_categories = True
    is_resized = True

    def build(self, dataset, report):
        built = dataset.source.build(dataset, report)
        return {
            "categories": built.categories,
            "splits": [
                asdict(split) | ({"in_train": True} if split.name in built.found else {}) for split in built.splits
            ],
            "copies": built.copies,
            "skipped": built.skipped,
            "skipped_reasons": built.skipped_reasons,
            "warnings": built.warnings,
            "white_level": built.white_level,
        }

    def describe_tasks(self, dataset):
        image = describe_image(dataset)
        return {
            "ParseFolderTasks": dataset.source.describe_parsed(dataset) if dataset.splits else [],
            "CreateDbTasks": [
                {
                    "name": f"Create DB ({split['name']})",
                    "entries": split["entries"],
                    **image,
                    "encoding": dataset.encoding,
                }
                for split in dataset.splits
            ],
        }
