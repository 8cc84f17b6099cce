"""Reads and writes networks as Caffe's prototxt. As in DIGITS, one text holds training, validation and deployment."""

from models_app.networks.prototxt.reader import batch_size, located, read
from models_app.networks.prototxt.writer import write

__all__ = ["batch_size", "located", "read", "write"]
