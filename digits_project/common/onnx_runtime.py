"""The only import of ONNX Runtime: sessions on the CPU, with telemetry off.

The first session imports it (25 ms, 16 MiB): a server has many processes, and most open no session.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from digits_project.common.resources import usable_cores

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# From 1.29 on the Linux wheels send telemetry unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# What ONNX Runtime raises for a file that is not a model, or that it can't run.
NO_MODEL = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")


class UnusableModel(Exception):
    """A file that is not a model, or that ONNX Runtime can't run."""


def open_session(onnx_file: Path, threads: int | None = None, for_one_run: bool = False) -> InferenceSession:
    """Load a model. `threads` None: the number of usable cores. Raises UnusableModel.

    A session `for_one_run` skips graph optimisation and keeps no memory for a next run.
    """
    onnxruntime = import_module("onnxruntime")
    states = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    options = onnxruntime.SessionOptions()
    if for_one_run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = threads or usable_cores()
    # Otherwise an idle session keeps a core busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
    except tuple(getattr(states, name) for name in NO_MODEL) as unusable:
        raise UnusableModel(str(unusable)) from unusable
