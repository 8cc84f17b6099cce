"""The only import of ONNX Runtime: sessions on the CPU, on a GPU or with OpenVINO, with telemetry off.

The first session imports it (25 ms, 16 MiB): a server has many processes, and most open no session.

`python -m digits_project.common.onnx_runtime PROVIDER DEVICE` prints as JSON what would run a model here.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digits_project.common.resources import usable_cores

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# From 1.29 on the Linux wheels send telemetry unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# What ONNX Runtime raises for a file that is not a model, or that it can't run.
NO_MODEL = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")
CPU = "CPUExecutionProvider"
MAX_DIFFERENCE = 1e-4  # between the outputs of a provider and those of the CPU; as between ONNX Runtime and an engine
MAX_IMAGES_A_RUN = 64  # TensorRT compiles a model for up to so many

log = logging.getLogger(__name__)


class UnusableModel(Exception):
    """A file that is not a model, or that ONNX Runtime can't run."""


class UnusableProvider(Exception):
    """A provider that is not installed, can't be loaded, or has other outputs than the CPU; the text says which."""


@dataclass(frozen=True)
class Provider:
    """What can run models in the CPU's place, if the installed package of ONNX Runtime has it.

    `execution_provider` is its name in ONNX Runtime. `options` returns its options for a device ("" for its first), the
    number of threads, and the name and shape of a model's input.
    """

    name: str
    title: str
    execution_provider: str
    install: str
    is_automatic: bool
    options: Callable[[str, int, str, Sequence[int]], dict[str, str]]


def _cuda_options(device: str, threads: int, source: str, shape: Sequence[int]) -> dict[str, str]:
    return {
        "device_id": device or "0",
        "use_tf32": "0",  # its products have ten bits, and the outputs would differ from the CPU's
        "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all algorithms for each new size of a batch
        "arena_extend_strategy": "kSameAsRequested",  # the default doubles, and trainings need the memory too
    }


def _tensorrt_options(device: str, threads: int, source: str, shape: Sequence[int]) -> dict[str, str]:
    sizes = {"min": 1, "opt": 8, "max": MAX_IMAGES_A_RUN}
    profile = {f"trt_profile_{name}_shapes": f"{source}:{'x'.join(map(str, (n, *shape)))}" for name, n in sizes.items()}
    # No cache of compiled models: their names don't depend on the weights, so snapshots would take those of others.
    return {"device_id": device or "0", **profile}


def _openvino_options(device: str, threads: int, source: str, shape: Sequence[int]) -> dict[str, str]:
    # Without a precision, processors with bfloat16 and GPUs compute with 16 bits.
    return {"device_type": device or "CPU", "precision": "FP32", "num_of_threads": str(threads)}


GPU_PACKAGE = "pip uninstall onnxruntime; pip install onnxruntime-gpu[cuda,cudnn]"
PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("cuda", "CUDA", "CUDAExecutionProvider", GPU_PACKAGE, True, _cuda_options),
        Provider(
            "tensorrt",
            "TensorRT",
            "TensorrtExecutionProvider",
            f"{GPU_PACKAGE} tensorrt",
            False,  # it takes seconds to minutes to compile each snapshot that is loaded
            _tensorrt_options,
        ),
        Provider(
            "openvino",
            "OpenVINO",
            "OpenVINOExecutionProvider",
            "pip uninstall onnxruntime; pip install onnxruntime-openvino",
            True,
            _openvino_options,
        ),
    )
}


def open_session(onnx_file: Path, threads: int | None = None, for_one_run: bool = False) -> InferenceSession:
    """Load a model on the CPU. `threads` None: the number of usable cores. Raises UnusableModel.

    A session `for_one_run` skips graph optimisation and keeps no memory for a next run.
    """
    onnxruntime = import_module("onnxruntime")
    states = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    options = _session_options(threads)
    if for_one_run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(str(onnx_file), options, providers=[CPU])
    except tuple(getattr(states, name) for name in NO_MODEL) as unusable:
        raise UnusableModel(str(unusable)) from unusable


def open_accelerated(
    onnx_file: Path, threads: int | None = None, *, provider: str = "auto", device: str = ""
) -> InferenceSession:
    """Load a model with a provider, or on the CPU, with a warning, if the provider can't run it as the CPU does.

    provider: a name in PROVIDERS; "cpu"; or "auto", the first automatic provider that the installed package has.
    device: the number of a GPU, or OpenVINO's name of a device; "" for the first.

    Raises UnusableModel.
    """
    on_cpu = open_session(onnx_file, threads)
    wanted = wanted_provider(provider)
    if wanted is None:
        return on_cpu
    try:
        return _open_with(wanted, device, onnx_file, threads, on_cpu)
    except UnusableProvider as unusable:
        log.warning("The CPU runs %s, because %s", onnx_file, unusable)
        return on_cpu


def wanted_provider(name: str) -> Provider | None:
    """The provider of that name, which the installed package may lack; None for the CPU."""
    if name != "auto":
        return PROVIDERS.get(name)
    installed = import_module("onnxruntime").get_available_providers()
    usable = (one for one in PROVIDERS.values() if one.is_automatic and one.execution_provider in installed)
    return next(usable, None)


def running_provider(session: InferenceSession) -> str:
    """What runs a session: a name in PROVIDERS, or "cpu"."""
    first = session.get_providers()[0]
    return next((one.name for one in PROVIDERS.values() if one.execution_provider == first), "cpu")


def _session_options(threads: int | None) -> Any:
    options = import_module("onnxruntime").SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    # Otherwise an idle session keeps a core busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _open_with(
    provider: Provider, device: str, onnx_file: Path, threads: int | None, on_cpu: InferenceSession
) -> InferenceSession:
    """A session of this provider, whose outputs are those of `on_cpu`. Raises UnusableProvider."""
    onnxruntime, name = import_module("onnxruntime"), provider.execution_provider
    if name not in onnxruntime.get_available_providers():
        raise UnusableProvider(f"the installed ONNX Runtime has no {provider.title}: {provider.install}")
    if name != PROVIDERS["openvino"].execution_provider:
        # TensorRT and cuDNN have no option of their own. Not at import: it would slow down trainings.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        onnxruntime.preload_dlls()  # CUDA's libraries, if they are installed as wheels
    source = on_cpu.get_inputs()[0]
    options = provider.options(device, threads or usable_cores(), source.name, source.shape[1:])
    try:
        session = onnxruntime.InferenceSession(
            str(onnx_file), _session_options(threads), providers=[(name, options), CPU], enable_fallback=0
        )
        difference = _difference(on_cpu, session)
    except Exception as fault:  # which ones is not documented; RuntimeError is one
        raise UnusableProvider(f"{provider.title} failed: {str(fault).strip()}") from fault
    if name not in session.get_providers():  # a library is missing; ONNX Runtime has printed which, and taken the CPU
        raise UnusableProvider(f"{provider.title} could not be loaded")
    if not difference <= MAX_DIFFERENCE:
        raise UnusableProvider(f"the outputs of {provider.title} differ from the CPU's by {difference:g}")
    return session


def _difference(on_cpu: InferenceSession, session: InferenceSession) -> float:
    """The largest difference in any output of two sessions for random images. If an output's largest value is above 1,
    the difference is divided by it; infinity if only one of the two has a value that is no number."""
    source = on_cpu.get_inputs()[0]
    images = np.random.default_rng(0).integers(0, 256, (2, *source.shape[1:])).astype(np.float32)
    differences = [0.0]
    for expected, found in zip(*(one.run(None, {source.name: images}) for one in (on_cpu, session)), strict=True):
        numbers = np.isfinite(expected)
        if not np.array_equal(numbers, np.isfinite(found)):
            return float("inf")
        if numbers.any():
            scale = max(1.0, np.abs(expected[numbers]).max())
            differences.append(np.abs(expected[numbers] - found[numbers]).max() / scale)
    return float(max(differences))


# A model of one convolution, 3×3 with padding, for images of one channel and 4×4 pixels.
_SAMPLE = b64decode(
    "CAgSADqiAQonCgRkYXRhCgF3EgNvdXQiBENvbnYqEQoEcGFkc0ABQAFAAUABoAEHEgFnKjMIAQgBCAMIAxABQgF3SiQAAIA/AACAPwAAgD8AAIA/"
    "AACAPwAAgD8AAIA/AACAPwAAgD9aHwoEZGF0YRIXChUIARIRCgMSAU4KAggBCgIIBAoCCARiHgoDb3V0EhcKFQgBEhEKAxIBTgoCCAEKAggECgII"
    "BEIECgAQEQ=="
)


def main(provider: str, device: str) -> None:
    """Print {version, runs_on, problem} as JSON: what runs a small model, and why it is not the provider."""
    wanted, problem = wanted_provider(provider), ""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(_SAMPLE)
        file.flush()
        session = open_session(Path(file.name))
        if wanted:
            try:
                session = _open_with(wanted, device, Path(file.name), None, session)
            except UnusableProvider as unusable:
                problem = str(unusable)
    version, runs_on = import_module("onnxruntime").__version__, running_provider(session)
    print(json.dumps({"version": version, "runs_on": runs_on, "problem": problem}))


if __name__ == "__main__":
    main(*sys.argv[1:])
