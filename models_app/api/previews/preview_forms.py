"""The query strings of the previews of augmentation, and their responses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rest_framework import serializers

from datasets.imagedb.images.resize import MAX_SIDE
from datasets.models import Dataset
from digits_project.api.forms import Form
from digits_project.common.errors import BadInput, DamagedFile
from models_app.api.hyperparameter_fields import form_fields
from models_app.api.network_forms import StandardNetworkField
from models_app.augment_preview import contact_sheet
from models_app.augment_preview.preview import (
    Reading,
    SeenImage,
    reading_of_dataset,
    reading_of_model,
    seen_images,
)
from models_app.models import TrainedModel
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.hyperparameter_declaration import BadHyperparameter, hyperparameters_of
from models_app.training.hyperparameters import MAX_EPOCHS

# Of the network itself: it changes no pixel that the reader returns.
NOT_SHOWN = "aug_whitening"
SHOWN = [declared for declared in hyperparameters_of(Augmentation) if declared.name != NOT_SHOWN]


class ModelPreviewForm(Form):
    """The query string of a preview of a model's images."""

    category = serializers.CharField(
        default="", allow_blank=True, max_length=1000, help_text="The name of a category; empty: the first one."
    )
    epoch = serializers.IntegerField(
        default=None,
        min_value=1,
        max_value=MAX_EPOCHS,
        help_text="The epoch that sees the images, from 1; empty: the first that sees them augmented.",
    )
    random_seed = serializers.IntegerField(
        default=1,
        min_value=0,
        max_value=2**32 - 1,
        help_text="The seed of the training; a model that has one of its own takes that.",
    )

    def reading(self, job: Any) -> Reading:
        """How a training reads the images. Raises ValidationError."""
        with field_errors("crop_size"):
            if isinstance(job, TrainedModel):
                return reading_of_model(job, self.validated_data["random_seed"])
            return self.reading_of_dataset(job)

    def reading_of_dataset(self, dataset: Dataset) -> Reading:
        """The reading of a dataset with the settings of this form; the form of a model has none."""
        raise NotImplementedError

    def images(self, dataset: Dataset, reading: Reading) -> list[SeenImage]:
        """The images that are shown. Raises ValidationError."""
        with field_errors("category"):
            return seen_images(dataset, reading, self.validated_data["category"], self.shown_epoch(reading))

    def shown_epoch(self, reading: Reading) -> int:
        """The epoch that sees the images."""
        return self.validated_data["epoch"] or reading.first_epoch


class DatasetPreviewForm(ModelPreviewForm):
    """The query string of a preview of a dataset's images: the fields of augmentation, and those that change how images
    are read."""

    batch_size = serializers.IntegerField(
        default=16, min_value=1, max_value=100_000, help_text="Which images are mixed with each other depends on it."
    )
    crop_size = serializers.IntegerField(
        default=None,
        min_value=1,
        max_value=MAX_SIDE,
        help_text="The side of the crops that the network takes; empty: none.",
    )
    input_size = serializers.IntegerField(
        default=None,
        min_value=1,
        max_value=MAX_SIDE,
        help_text="The side to which the crops are scaled; empty: they are not.",
    )
    standard_networks = StandardNetworkField(
        default="",
        allow_blank=True,
        help_text="The network that reads the images; most mirror half of them. Empty: none that does.",
    )

    def unordered_fields(self):
        return super().unordered_fields() | form_fields(SHOWN)

    def reading_of_dataset(self, dataset):
        values = self.validated_data
        settings = Augmentation(**{declared.name: values[declared.wire_name] for declared in SHOWN})
        named = {name: values[name] for name in ("random_seed", "batch_size", "crop_size", "input_size")}
        return reading_of_dataset(dataset, settings, network=values["standard_networks"], **named)


@contextmanager
def field_errors(field: str) -> Iterator[None]:
    """A BadInput of the block becomes an error of the hyperparameter that it names, else of `field`."""
    try:
        yield
    except BadHyperparameter as wrong:
        raise serializers.ValidationError({wrong.field: [str(wrong)]}) from wrong
    except DamagedFile:
        raise
    except BadInput as wrong:
        raise serializers.ValidationError({field: [str(wrong)]}) from wrong


def preview_json(
    dataset: Dataset, reading: Reading, form: ModelPreviewForm, images: Sequence[SeenImage]
) -> dict[str, Any]:
    """The facts of a preview with a valid form, without the URL of the sheet."""
    _, height, width = reading.layout.input_shape
    return {
        "epoch": form.shown_epoch(reading),
        "random_seed": reading.random_seed,
        "category": form.validated_data["category"] or next(iter(dataset.category_names), ""),
        "width": width,
        "height": height,
        "images": [
            {"record": image.record, "position": image.position, "labels": image.labels}
            | dict(zip(("left", "top"), contact_sheet.place_of(number, height, width), strict=True))
            for number, image in enumerate(images)
        ],
    }


class SeenImageFacts(serializers.Serializer):
    """An image as the epoch sees it."""

    record = serializers.IntegerField(help_text="Its number in the records of the training, from 0.")
    position = serializers.IntegerField(help_text="Its place in the order of the epoch, from 0.")
    labels = serializers.DictField(child=serializers.FloatField(), help_text="{category: share}")
    left = serializers.IntegerField(help_text="Its first column in the sheet.")
    top = serializers.IntegerField(help_text="Its first row in the sheet.")


class PreviewFacts(serializers.Serializer):
    """The first nine images of a category as an epoch of a training sees them."""

    epoch = serializers.IntegerField()
    random_seed = serializers.IntegerField()
    category = serializers.CharField()
    width = serializers.IntegerField(help_text="Of each image, in pixels.")
    height = serializers.IntegerField()
    images = SeenImageFacts(many=True)
    sheet = serializers.CharField(help_text="The URL of the images beside each other, as PNG.")
