"""Exports a network and its weights as model.onnx."""
