"""The only import of ONNX Runtime: sessions on the CPU, with telemetry off."""

import os
from pathlib import Path

from digits_project.common.resources import usable_cores

# From 1.29 on the Linux wheels send telemetry unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime import InferenceSession
from onnxruntime.capi import onnxruntime_pybind11_state as states

# ONNX Runtime raises these for a file that is not a model, or that it can't run.
NO_MODEL = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NotImplemented)


def open_session(onnx_file: Path, threads: int | None = None, for_one_run: bool = False) -> InferenceSession:
    """Load a model. `threads` None: the number of usable cores.

    A session `for_one_run` skips graph optimisation and keeps no memory for a next run.
    """
    options = onnxruntime.SessionOptions()
    if for_one_run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = threads or usable_cores()
    # Otherwise an idle session keeps a core busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
