"""The registry's entry of the MXNet engine. It lies outside of engines/mxnet/, which only the trainer may import."""

from models_app.networks.layers import TYPES
from models_app.training.engines.registry import EngineDeclaration, register
from models_app.training.hyperparameters import BF16

# Wheels with GPU code, and the compute capabilities that it is for. They hold no PTX, so no newer GPU can run it.
GPU_WHEELS = dict.fromkeys(("mxnet-cu112", "mxnet-cu117"), ((5, 0), (8, 6)))

MXNET = register(
    EngineDeclaration(
        name="mxnet",
        title="MXNet",
        module="models_app.training.engines.mxnet.engine",
        package="mxnet",
        install="pip install --no-deps -r requirements/worker.txt",
        layer_types=frozenset(TYPES),
        gpu_install="pip install --no-deps -r requirements/gpu.txt",
        unsupported={"precision": BF16, "compile_network": True},
        gpu_wheels=GPU_WHEELS,
    )
)
