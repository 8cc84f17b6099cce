"""The kinds of datasets: one for each task that a network can have, registered by name."""

from datasets.kinds.classification_kind import ClassificationDatasets
from datasets.kinds.dataset_kind import KINDS, MAX_NAME, DatasetKind, kind_choices, register
from datasets.kinds.generic_kind import GenericDatasets

CLASSIFICATION = register(ClassificationDatasets()).name
GENERIC = register(GenericDatasets()).name

__all__ = ["CLASSIFICATION", "GENERIC", "KINDS", "MAX_NAME", "DatasetKind", "kind_choices", "register"]
