"""The fixed views of images, of which features are computed: the middle crop first, then random ones."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace

import numpy as np

from models_app.training.augmentation.augmenter import Augmenter
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.data.pixels import Records

VIEW_SEED = 20_261_130  # of the random views, which are the same in every training


class FixedViews:
    """Reads views of the images of a split. Several threads can read at the same time.

    View 0 is the middle crop, which validation and answers see. View n is what epoch n of a training with the seed
    VIEW_SEED sees, if it reads the images in their order: a random crop and flip, with the augmentation of `settings`.
    """

    def __init__(self, records: Records, settings: Augmentation, views: int) -> None:
        self.records = records
        self.count = views
        self._settings = replace(Augmentation.of(settings), label_smoothing=0.0, aug_whitening=False)
        self._augmenters = threading.local()

    @property
    def identity(self) -> dict:
        """Values on which the pixels of the views depend, besides the records."""
        layout = self.records.layout
        resize = layout.resize.to_dict() if layout.resize else None
        random = {"seed": VIEW_SEED, "mirror": layout.mirror, "augmentation": self._changes} if self.count > 1 else {}
        return {"views": self.count, "input_shape": layout.input_shape, "resize": resize, **random}

    @property
    def _changes(self) -> dict:
        """The settings that are not the default."""
        usual = asdict(Augmentation())
        return {name: value for name, value in asdict(self._settings).items() if value != usual[name]}

    def read(self, numbers: range, view: int) -> tuple[np.ndarray, np.ndarray]:
        """A view of these images, as the network takes them (uint8, n×C×H×W), and their labels."""
        layout, count = self.records.layout, len(numbers)
        images = np.empty((count, *layout.input_shape), np.uint8)
        labels = np.empty((count, *layout.label_shape), np.float32)
        if view:
            self._augmenter().read(self.records, numbers, view, numbers.start, images, labels)
        else:
            self.records.read(numbers, images, labels, layout.centre(count))
        return images, labels

    def _augmenter(self) -> Augmenter:
        """The augmenter of this thread, since one thread at a time may read with it."""
        if not hasattr(self._augmenters, "own"):
            self._augmenters.own = Augmenter(self._settings, self.records.layout, VIEW_SEED, threads=1)
        return self._augmenters.own


def number_of_views(records: Records, settings: Augmentation, wanted: int | None) -> int:
    """How many views to keep: `wanted` (None: one), but one if all views would be the same."""
    is_random = settings.image_cause or records.layout.at_random(0, 0, 0, 1) is not None
    return (wanted or 1) if is_random else 1
