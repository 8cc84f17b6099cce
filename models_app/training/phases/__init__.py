"""The phases of a training, each with an engine of its own, and the weights with which one starts."""
