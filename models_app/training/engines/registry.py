"""The registry of engines: what each supports, and how it is opened. It loads no engine's library."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, util

from digits_project.common import declarations
from digits_project.common.errors import BadInput
from digits_project.common.resources import ComputeCapability
from models_app.networks import Network
from models_app.training.engines.interface import Engine, EngineConfig
from models_app.training.hyperparameter_declaration import BadHyperparameter

AUTO = "auto"  # in place of a name: the first registered engine that supports the network and the device


@dataclass(frozen=True)
class EngineDeclaration:
    """The properties of an engine that the server reads without loading the engine's library.

    name: the engine in forms, columns and configurations, such as "mxnet".
    title: the engine in messages, such as "MXNet".
    module: imported only by the trainer; its `open_engine(config: EngineConfig)` returns an Engine.
    package: the Python package whose presence means that the engine is installed.
    install: the command that installs it.
    gpu_install: the command that installs it with code for GPUs; "" if there is no separate one.
    layer_types: the layer types (of networks.layers.TYPES) that it can build.
    ranks_module: for an engine that computes on one device in a process, the module that starts several such processes,
        the ranks, and connects them (training/ranks.py); "": the engine computes on several devices in one process.
    unsupported: values of hyperparameters that it can't train with, as {name: value}.
    gpu_wheels: the distributions with GPU code, each with the lowest and the highest compute capability of its code. If
        none of them is installed, the engine can use only the CPU.

    An engine with an environment of its own overrides is_installed(), runs_on() and load_command().
    """

    name: str
    title: str
    module: str
    package: str
    install: str
    layer_types: frozenset[str]
    gpu_install: str = ""
    ranks_module: str = ""
    unsupported: Mapping[str, object] = field(default_factory=dict)
    gpu_wheels: Mapping[str, tuple[ComputeCapability, ComputeCapability]] = field(default_factory=dict)

    def is_installed(self) -> bool:
        """Whether a trainer on this host can load the engine."""
        return util.find_spec(self.package) is not None

    def runs_on(self, capability: ComputeCapability | None) -> bool:
        """Whether the engine, as it is installed on this host, can use a GPU of this capability; None is the CPU."""
        if capability is None:
            return self.is_installed()
        return any(
            lowest <= capability <= highest and _is_distribution(wheel)
            for wheel, (lowest, highest) in self.gpu_wheels.items()
        )

    def load_command(self) -> list[str]:
        """A command that loads the engine and prints its version; it is run in the folder of the project."""
        return [sys.executable, "-c", f"import {self.module}, {self.package} as library; print(library.__version__)"]

    def gpu_capabilities(self) -> tuple[ComputeCapability, ComputeCapability] | None:
        """The lowest and the highest compute capability of its wheels' code; None without such wheels."""
        ranges = self.gpu_wheels.values()
        return (min(lowest for lowest, _ in ranges), max(highest for _, highest in ranges)) if ranges else None

    def unsupported_layers(self, network: Network) -> list[str]:
        """The layer types of the network that the engine can't build, each once, in the network's order."""
        return list(dict.fromkeys(layer.type for layer in network.layers if layer.type not in self.layer_types))

    def unsupported_setting(self, settings: object) -> str | None:
        """The first hyperparameter whose value the engine can't train with; None if there is none."""
        return next((name for name, value in self.unsupported.items() if getattr(settings, name, None) == value), None)


ENGINES: dict[str, EngineDeclaration] = {}  # by name, in the order in which AUTO prefers them


def register(engine: EngineDeclaration) -> EngineDeclaration:
    """Add an engine, behind those that are registered already."""
    return declarations.add(ENGINES, engine, "an engine {!r}", reserved=(AUTO,))


def candidates(wanted: str = AUTO) -> tuple[str, ...]:
    """The names of the engines that a choice can mean, the preferred one first. Raises BadInput if there is none."""
    return tuple(engine.name for engine in _named(wanted))


def declared() -> list[EngineDeclaration]:
    """All registered engines, in the order in which AUTO prefers them."""
    return _named(AUTO)


def spanning(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the engines that can compute on devices of several hosts together."""
    return tuple(name for name in names if name in ENGINES and ENGINES[name].ranks_module)


def engines_of_network(network: Network, wanted: str = AUTO, settings: object = None) -> list[str]:
    """The names of the engines that can train the network, the preferred one first; if one engine is requested, only
    that one. settings: has the hyperparameters as attributes, by which engines are left out too.

    Raises BadInput if there is none, with the layer types that are the reason; BadHyperparameter with the setting.
    """
    candidates = _named(wanted)
    missing = {engine.title: engine.unsupported_layers(network) for engine in candidates}
    if all(missing.values()):
        reasons = [f"{title} can't train layers of type {', '.join(types)}" for title, types in missing.items()]
        raise BadInput(f"no engine can train this network: {'; '.join(reasons)}")
    able = [engine for engine in candidates if not missing[engine.title]]
    fitting = [engine for engine in able if engine.unsupported_setting(settings) is None]
    if not fitting:
        raise _unsupported(able[0], settings)
    return [engine.name for engine in fitting]


def _unsupported(engine: EngineDeclaration, settings: object) -> BadHyperparameter:
    name = engine.unsupported_setting(settings) or ""
    others = [other.name for other in ENGINES.values() if other.unsupported_setting(settings) is None]
    instead = f", or choose the engine {' or '.join(others)}" if others else ""
    return BadHyperparameter(
        name, f"{engine.title} can't train with {name} {getattr(settings, name)}; change it{instead}"
    )


def choose_installed(network: Network, wanted: str = AUTO, settings: object = None) -> str:
    """The name of the first engine that can train the network, and that a trainer on this host can load. For `settings`
    see engines_of_network().

    Raises BadInput if there is none, with what to install.
    """
    able = [ENGINES[name] for name in engines_of_network(network, wanted, settings)]
    for engine in able:
        if engine.is_installed():
            return engine.name
    commands = ", or ".join(f"{engine.title} ({engine.install})" for engine in able)
    raise BadInput(f"no engine that can train this network is installed on this host; install {commands}")


def open_engine(name: str, config: EngineConfig) -> Engine:
    """Build the network on an engine. Imports only that engine's library, because a worker can lack the others.
    Raises BadInput if the device does not exist, or if the network does not fit into its memory."""
    [engine] = _named(name)
    return importlib.import_module(engine.module).open_engine(config)


def _named(wanted: str) -> list[EngineDeclaration]:
    if wanted == AUTO:
        return list(ENGINES.values())
    if wanted not in ENGINES:
        raise BadInput(f"there is no engine {wanted!r}; choose one of {', '.join(ENGINES)}")
    return [ENGINES[wanted]]


def _is_distribution(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
