"""All operations on single images. To add one, write it in a module beside this one, and add it here."""

from models_app.training.augmentation.colours import CONTRAST
from models_app.training.augmentation.geometry import FLIP, QUAD_ROTATION, RESIZED_CROP, ROTATION, ZOOM
from models_app.training.augmentation.hsv import HSV
from models_app.training.augmentation.noise import ERASING, NOISE
from models_app.training.augmentation.operation_registry import OPERATIONS, register
from models_app.training.augmentation.policies import POLICY_OPERATIONS

# The order in which they change an image. The random resized crop replaces that of the policy light.
ORDER = (FLIP, QUAD_ROTATION, ROTATION, ZOOM, *POLICY_OPERATIONS, RESIZED_CROP, CONTRAST, HSV, NOISE, ERASING)

for operation in ORDER:
    register(operation)

__all__ = ["OPERATIONS"]
