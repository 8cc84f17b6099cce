"""Runs snapshots and computes metrics of their scores. Plain Python, ONNX Runtime and NumPy; no Django."""
