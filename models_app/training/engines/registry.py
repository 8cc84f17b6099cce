"""The registry of engines: what each supports, where it runs, and how it is opened. It loads no engine's library."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, util
from typing import Any

from digits_project.common import declarations
from digits_project.common.errors import BadInput, Failed
from digits_project.common.resources import ComputeCapability
from models_app.networks import Network
from models_app.training.engines import openmp
from models_app.training.engines.interface import Engine, EngineConfig
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training.pythons.public_names import import_libraries

REPAIR = "manage.py doctor on this host says more; install it again:"
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
        the ranks, and connects them (training/ranks/); "": the engine computes on several devices in one process.
    unsupported: values of hyperparameters that it can't train with, as {name: value}.
    timm_module: builds networks of timm, of which this server knows no layers; it has described(), drawn_weights() and
        with_graph(), which timm_models.py calls. "": the engine can't train them.
    gpu_wheels: the distributions with GPU code, each with the lowest and the highest compute capability of its code. If
        none of them is installed, the engine can use only the CPU.
    libraries: what the module imports that can import packages named like ours, datasets and inference (public_names).

    An engine with an environment of its own overrides python(), problem(), remedy(), version(), gpu_obstacle() and
    load_command().
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
    timm_module: str = ""
    gpu_wheels: Mapping[str, tuple[ComputeCapability, ComputeCapability]] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()

    def python(self) -> str:
        """The Python in which a trainer with this engine runs: a path."""
        return sys.executable

    def is_importable(self) -> bool:
        """Whether this process can load the engine."""
        return util.find_spec(self.package) is not None

    def problem(self) -> str:
        """Why a trainer on this host can't load the engine, as far as can be seen without loading it; "" if it can."""
        return "" if self.is_importable() else f"{self.title} is not installed"

    def remedy(self) -> str:
        """What to do on this host about problem(), or about an engine that does not load: a command, or words."""
        return self.install

    def gpu_remedy(self) -> str:
        """The same for an engine that has no code for GPUs here; "" if there is nothing to do."""
        return self.gpu_install

    def is_installed(self) -> bool:
        """Whether a trainer on this host can load the engine."""
        return not self.problem()

    def version(self) -> str:
        """The version of its package on this host; "" if it is not installed."""
        found = filter(None, map(_distribution_version, (self.package, *self.gpu_wheels)))
        return next(found, "of unknown version") if self.is_installed() else ""

    def obstacle(self, capability: ComputeCapability | None) -> str:
        """Why the engine, as it is installed on this host, can't use a GPU of this capability (None: the CPU), with
        what to do about it; "" if it can."""
        if problem := self.problem():
            return f"{problem} ({self.remedy()})"
        return self.gpu_obstacle(capability) if capability else ""

    def gpu_obstacle(self, capability: ComputeCapability) -> str:
        """The same for an engine that is installed, and a GPU."""
        ranges = [code for wheel, code in self.gpu_wheels.items() if _distribution_version(wheel)]
        if any(lowest <= capability <= highest for lowest, highest in ranges):
            return ""
        has = f"{self.title} {self.version()}"
        if not ranges:
            remedy = self.gpu_remedy()
            return f"{has} is installed without code for GPUs" + (f" ({remedy})" if remedy else "")
        codes = ", ".join(f"{dotted(lowest)} to {dotted(highest)}" for lowest, highest in ranges)
        return f"{has} has code for compute capability {codes}, and this GPU has {dotted(capability)}"

    def runs_on(self, capability: ComputeCapability | None) -> bool:
        """Whether the engine, as it is installed on this host, can use a GPU of this capability; None is the CPU."""
        return not self.obstacle(capability)

    def load_command(self) -> list[str]:
        """A command that loads the engine and prints its version; it is run in the folder of the project."""
        return [self.python(), "-c", f"import {self.module}, {self.package} as library; print(library.__version__)"]

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
PYTHONS: dict[str, str] = {}  # by engine: the Python that the server's settings name for it
PREFERRED: list[str] = []  # the engines that AUTO prefers to the first registered one, by the server's settings


def register(engine: EngineDeclaration) -> EngineDeclaration:
    """Add an engine, behind those that are registered already."""
    return declarations.add(ENGINES, engine, "an engine {!r}", reserved=(AUTO,))


def configure(preferred: str = AUTO, pythons: Mapping[str, str] | None = None) -> None:
    """Take over the server's settings: the engine that AUTO prefers (AUTO: the first registered one), and the Pythons
    of engines with environments of their own, by engine. Raises BadInput if there is no such engine."""
    PREFERRED[:] = [] if preferred == AUTO else [engine.name for engine in _named(preferred)]
    PYTHONS.clear()
    PYTHONS.update(pythons or {})


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
        raise BadInput(_untrainable(network, missing))
    able = [engine for engine in candidates if not missing[engine.title]]
    fitting = [engine for engine in able if engine.unsupported_setting(settings) is None]
    if not fitting:
        raise _unsupported(able[0], settings)
    return [engine.name for engine in fitting]


def _untrainable(network: Network, missing: Mapping[str, list[str]]) -> str:
    """The message if no requested engine can train the network. missing: the layer types, by an engine's title."""
    reasons = "; ".join(f"{title} can't train layers of type {', '.join(types)}" for title, types in missing.items())
    others = [engine.name for engine in ENGINES.values() if not engine.unsupported_layers(network)]
    if others:
        return f"{reasons}; change the network, or choose the engine {' or '.join(others)}"
    return f"no engine can train this network: {reasons}"


def _unsupported(engine: EngineDeclaration, settings: object) -> BadHyperparameter:
    name = engine.unsupported_setting(settings) or ""
    others = [other.name for other in ENGINES.values() if other.unsupported_setting(settings) is None]
    instead = f", or choose the engine {' or '.join(others)}" if others else ""
    return BadHyperparameter(
        name, f"{engine.title} can't train with {name} {as_sent(getattr(settings, name))}; change it{instead}"
    )


def as_sent(value: object) -> object:
    """A value of a hyperparameter as forms have it: a flag as 1 or 0."""
    return int(value) if isinstance(value, bool) else value


def choose_installed(network: Network, wanted: str = AUTO, settings: object = None) -> str:
    """The name of the first engine that can train the network, and that this process, a trainer, can load. For
    `settings` see engines_of_network().

    Raises BadInput if there is none, with what to install, or the Python that has it.
    """
    able = [ENGINES[name] for name in engines_of_network(network, wanted, settings)]
    for engine in able:
        if engine.is_importable():
            return engine.name
    if elsewhere := [f"{engine.title}: {engine.python()}" for engine in able if engine.is_installed()]:
        raise BadInput(f"{sys.executable} has no engine for this network; take the Python of {', or '.join(elsewhere)}")
    commands = ", or ".join(f"{engine.title} ({engine.remedy()})" for engine in able)
    raise BadInput(f"no engine that can train this network is installed on this host; install {commands}")


def open_engine(name: str, config: EngineConfig) -> Engine:
    """Build the network on an engine. Imports only that engine's library, because a worker can lack the others.
    Raises BadInput if the device does not exist, or if the network does not fit into its memory; Failed if the library
    does not load."""
    return _loaded(name).open_engine(config)


def load(name: str) -> str:
    """Load an engine, and return the version of its library. Raises Failed."""
    _loaded(name)
    return importlib.import_module(ENGINES[name].package).__version__


def _loaded(name: str) -> Any:
    """The module of an engine. Raises Failed."""
    [engine] = _named(name)
    return import_part(engine, engine.module)


def import_part(engine: EngineDeclaration, module: str, *libraries: str) -> Any:
    """A module of an engine. `libraries`: those that it imports besides the engine's. Raises Failed if it, or one of
    these, can't be imported."""
    openmp.spin_briefly()
    try:
        import_libraries((*engine.libraries, *libraries))
        return importlib.import_module(module)
    except Exception as broken:  # a damaged library can raise any exception while it loads
        problem = f"{engine.title} does not load in {sys.executable}: {type(broken).__name__}: {broken}"
        raise Failed(f"{problem}. {REPAIR} {engine.remedy()}") from broken


def _named(wanted: str) -> list[EngineDeclaration]:
    if wanted == AUTO:
        first = [ENGINES[name] for name in PREFERRED if name in ENGINES]
        return first + [engine for engine in ENGINES.values() if engine not in first]
    if wanted not in ENGINES:
        raise BadInput(f"there is no engine {wanted!r}; choose one of {', '.join(ENGINES)}")
    return [ENGINES[wanted]]


def dotted(capability: ComputeCapability) -> str:
    """(8, 6) as 8.6."""
    return ".".join(map(str, capability))


def _distribution_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
