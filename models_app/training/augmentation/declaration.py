"""The hyperparameters of augmentation. Names, ranges and defaults are DIGITS's, where DIGITS had them.

0, no and none, the defaults, mean off. The operations are in the modules beside this one, listed by operations.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from models_app.training.hyperparameter_declaration import AUGMENTATION, hyperparameter, hyperparameters_of

NONE = "none"
LEFT_RIGHT, UP_DOWN = ("fliplr", "fliplrud"), ("flipud", "fliplrud")  # values of aug_flip
FLIPS = (NONE, "fliplr", "flipud", "fliplrud")
QUAD_ROTATIONS = {NONE: (0,), "rot90": (0, 90, -90), "rot180": (0, 180), "rotall": (0, 90, -90, 180)}
LIGHT, TRIVIAL, RAND = "light", "trivialaugment", "randaugment"
POLICIES = (NONE, LIGHT, TRIVIAL, RAND)
OF_IMAGES = (
    "aug_flip", "aug_quad_rot", "aug_rot", "aug_scale", "aug_noise", "aug_contrast", "aug_hsv_use", "aug_crop_scale",
    "aug_policy", "random_erasing", "mixup", "cutmix",
)  # fmt: skip
SOFT_LABELS = ("mixup", "cutmix", "label_smoothing")
MAX_MAGNITUDE = 30
MAX_ALPHA = 100  # of a beta distribution

_change = partial(hyperparameter, group=AUGMENTATION)


@dataclass(frozen=True)
class Augmentation:
    """How images and labels are changed at random, in training only. `aug_whitening` is not random, and is part of the
    network: answers get it too."""

    aug_flip: str = _change(
        NONE, choices=FLIPS, help="Mirror half of the images: left to right, upside down, or each at random."
    )
    aug_quad_rot: str = _change(
        NONE,
        choices=tuple(QUAD_ROTATIONS),
        help="Turn images by a random one of: 0 and ±90 degrees (rot90), 0 and 180 (rot180), all four (rotall). Images "
        "that are turned by 90 degrees must be square.",
    )
    aug_rot: float = _change(
        0.0,
        minimum=0,
        maximum=180,
        unit="degrees",
        help="Turn images by a random angle, uniform between ± this many degrees. 0: off.",
    )
    aug_scale: float = _change(
        0.0,
        minimum=0,
        maximum=1,
        help="Zoom images in or out: the shown part is 1 + s times the image's size, with s normally distributed "
        "around 0, and this standard deviation; its place is random. Such as 0.07. 0: off.",
    )
    aug_noise: float = _change(
        0.0,
        minimum=0,
        maximum=1,
        help="Add white Gaussian noise of this standard deviation, as a fraction of the white level. Such as 0.03. 0: "
        "off.",
    )
    aug_contrast: float = _change(
        0.0,
        minimum=0,
        maximum=5,
        help="Multiply each channel's distance from its mean over the image by a random factor, uniform between 1 - "
        "this and 1 + this. Such as 0.8. 0: off.",
    )
    aug_whitening: bool = _change(
        False,
        help="Whether the network subtracts from each image its mean and divides by its standard deviation, after "
        "use_mean; in training and in answers.",
    )
    aug_hsv_use: bool = _change(
        False, help="Whether hue, saturation and value of colour images are shifted at random, by aug_hsv_h, _s and _v."
    )
    aug_hsv_h: float = _change(
        0.02,
        minimum=0,
        maximum=0.5,
        help="With aug_hsv_use: the standard deviation of the shift of the hue; 1 is once around the circle of "
        "colours.",
    )
    aug_hsv_s: float = _change(
        0.04,
        minimum=0,
        maximum=0.5,
        help="With aug_hsv_use: the standard deviation of the shift of the saturation, 0 to 1.",
    )
    aug_hsv_v: float = _change(
        0.06, minimum=0, maximum=0.5, help="With aug_hsv_use: the standard deviation of the shift of the value, 0 to 1."
    )
    aug_crop_scale: float = _change(
        0.0,
        minimum=0,
        maximum=1,
        help="Random resized crop: train on a random part of each image that has at least this fraction of its area, "
        "scaled to the network's input. Such as 0.25. 0: off.",
    )
    aug_crop_ratio: float = _change(
        1.333,
        minimum=1,
        maximum=10,
        help="With aug_crop_scale: the largest ratio of the part's longer side to its shorter one, relative to that of "
        "the input.",
    )
    aug_policy: str = _change(
        NONE,
        choices=POLICIES,
        help="A ready set of augmentations, besides the others. light, for photos: flips left to right, random resized "
        "crops, small changes of brightness, contrast and saturation. trivialaugment: one random operation an image. "
        "randaugment: two, of strength aug_magnitude.",
    )
    aug_magnitude: float = _change(
        9.0,
        minimum=0,
        maximum=MAX_MAGNITUDE,
        only_with=("aug_policy", RAND),
        help="With aug_policy randaugment: the strength of its operations, 0 to 30. The policy trivialaugment draws it "
        "for each image.",
    )
    random_erasing: float = _change(
        0.0,
        minimum=0,
        maximum=1,
        help="The probability with which a rectangle of an image, 2 to 33 % of it, is replaced by noise. 0: off.",
    )
    mixup: float = _change(
        0.0,
        minimum=0,
        maximum=MAX_ALPHA,
        help="Mix each image, and its label, with another of the batch; the share is drawn from the beta distribution "
        "with both parameters this number. Such as 0.2. 0: off.",
    )
    cutmix: float = _change(
        0.0,
        minimum=0,
        maximum=MAX_ALPHA,
        help="Replace a rectangle of each image by that of another of the batch, and mix the labels in proportion to "
        "the areas; drawn as mixup, such as 1. With both, each image gets one of them at random. 0: off.",
    )
    label_smoothing: float = _change(
        0.0,
        minimum=0,
        below=1,
        help="The share of a label that is spread evenly over all categories, such as 0.1. 0: off.",
    )

    @classmethod
    def of(cls, settings: object) -> Augmentation:
        """These settings of any object that has attributes of their names, such as a row."""
        return cls(**{declared.name: getattr(settings, declared.name) for declared in hyperparameters_of(cls)})

    @property
    def mixes_images(self) -> bool:
        """Whether images are mixed with others of their batch."""
        return bool(self.mixup or self.cutmix)

    @property
    def image_cause(self) -> str:
        """The first hyperparameter that changes images at random; "" if none does."""
        return next((name for name in OF_IMAGES if getattr(self, name) not in (0, NONE)), "")

    @property
    def has_soft_labels(self) -> bool:
        """Whether the labels of a training are shares of categories, not numbers of categories."""
        return bool(self.soft_label_cause)

    @property
    def soft_label_cause(self) -> str:
        """The first hyperparameter that makes labels shares of categories; "" if none does."""
        return next((name for name in SOFT_LABELS if getattr(self, name)), "")
