"""A network and its weights as model.onnx."""
