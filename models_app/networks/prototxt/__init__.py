"""Networks as Caffe's prototxt, in the conventions of DIGITS: one text for training, validation and deployment."""

from models_app.networks.prototxt.reader import batch_size, located, read
from models_app.networks.prototxt.writer import write

__all__ = ["batch_size", "located", "read", "write"]
