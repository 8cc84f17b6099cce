"""VGG-16 (Simonyan and Zisserman 2014, configuration D) with the names of its Caffe model."""

from models_app.networks.graph import Network
from models_app.networks.normalization import IMAGENET
from models_app.networks.published.stack import Frame, LayerStack, xavier
from models_app.networks.published.standard_network import StandardNetwork

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and how many convolutions


def vgg16(frame: Frame, categories: int) -> Network:
    """Thirteen 3×3 convolutions in five stages, and three inner products with dropout. Images from 17×17 pixels.

    With Xavier weights, values shrink by √2 at each ReLU: over these fifteen layers, from pixels of 0 to 255 to scores
    of about 1. With He's weights they would stay as large as pixels, and training would diverge.
    """
    stack = LayerStack(frame)
    for stage, (channels, convolutions) in enumerate(STAGES, start=1):
        for place in range(1, convolutions + 1):
            stack.convolution(f"conv{stage}_{place}", channels, 3, pad=1, **xavier())
            stack.over("ReLU", f"relu{stage}_{place}")
        stack.max_pooling(f"pool{stage}", 2, 2)
    for number in (6, 7):
        stack.inner_product(f"fc{number}", 4096, **xavier())
        stack.over("ReLU", f"relu{number}")
        stack.over("Dropout", f"drop{number}", {"dropout_ratio": 0.5})
    stack.inner_product("fc8", categories, **xavier())
    return stack.classified("VGG-16")


VGG16 = StandardNetwork(
    "vgg16",
    vgg16,
    batch_size=16,
    size=224,
    normalization=IMAGENET,
    summary="Large and slow; used where its features are known to work.",
)
