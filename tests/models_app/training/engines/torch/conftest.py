"""Tests of PyTorch's own modules: collected only by a Python that has it (tests/support/engines/conformance.py)."""

from models_app.training.engines.torch_declaration import TORCH

collect_ignore_glob = [] if TORCH.is_importable() else ["test_*.py"]
