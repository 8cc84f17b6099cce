"""ONNX Runtime as this project uses it: on the CPU, and without a word to anybody else. The only importer of it."""

import os
from pathlib import Path

from digits_project.cores import usable_cores

# From 1.29 on its Linux wheels report to their makers unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def open_session(onnx_file: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Load a model; `threads` None is as many as there are cores to use."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle session burns no core
    return onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
