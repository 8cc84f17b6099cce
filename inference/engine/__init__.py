"""Scores and what is computed of them: plain Python, ONNX Runtime and NumPy, no Django, no training engine."""
