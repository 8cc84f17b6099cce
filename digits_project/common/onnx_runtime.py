"""ONNX Runtime as this project uses it: on the CPU, and without a word to anybody else. The only importer of it."""

import os
from pathlib import Path

from digits_project.common.resources import usable_cores

# From 1.29 on its Linux wheels report to their makers unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime import InferenceSession
from onnxruntime.capi import onnxruntime_pybind11_state as states

# What ONNX Runtime raises for a file that holds no model, or one that it can't run.
NO_MODEL = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NotImplemented)


def open_session(onnx_file: Path, threads: int | None = None, for_one_run: bool = False) -> InferenceSession:
    """Load a model; `threads` None is as many as there are cores to use.

    A session `for_one_run` spends no time on making its graph faster, and keeps no memory for a next run.
    """
    options = onnxruntime.SessionOptions()
    if for_one_run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = threads or usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle session burns no core
    return InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
