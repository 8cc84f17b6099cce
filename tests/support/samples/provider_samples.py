"""Providers of ONNX Runtime for tests: one that the installed package has, and one that no package has."""

import onnxruntime

from digits_project.common.onnx_runtime import PROVIDERS, Provider

INSTALLED = onnxruntime.get_available_providers()
LACKING = [name for name, provider in PROVIDERS.items() if provider.execution_provider not in INSTALLED]
MISSING = Provider("missing", "Missing", "MissingExecutionProvider", "pip install missing", True, lambda *_: {})
# The usual package has none of ours, but beside the CPU's one for Azure, which leaves the work to the CPU.
OTHER = next(
    (provider for provider in PROVIDERS.values() if provider.execution_provider in INSTALLED),
    Provider("other", "Other", INSTALLED[0], "pip install other", True, lambda *_: {}),
)
