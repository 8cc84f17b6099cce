"""The only import of MXNet 1.9.1: it sets the threads, restores the names that NumPy 2 has dropped, and leaves out what
takes time and is not used.

MXNet looks these names up during its import and re-exports them in `mx.np`. They are in `numpy` only during that
import, so no other package sees them."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import numpy

from digits_project.common.resources import usable_cores
from models_app.training.engines import openmp
from models_app.training.engines.mxnet.lazy_operators import make_operators_lazily

logger = logging.getLogger(__name__)

if "OMP_NUM_THREADS" not in os.environ:
    # By default MXNet uses half the cores and trains at half the speed.
    os.environ["OMP_NUM_THREADS"] = str(usable_cores())
    logger.warning("OMP_NUM_THREADS was not set; taking %s", os.environ["OMP_NUM_THREADS"])

openmp.spin_briefly()

# oneDNN's fused operators keep the weights of their first run, so validation would never see a weight change.
os.environ["MXNET_SUBGRAPH_BACKEND"] = "NONE"

FINANCIAL = ("mirr", "npv", "pmt", "ppmt", "pv", "rate")  # moved from NumPy to the package numpy-financial


def _dropped(*_arguments, **_options):
    raise NotImplementedError(f"NumPy {numpy.__version__} has no financial functions; the package numpy-financial has")


DROPPED_NAMES = MappingProxyType(
    {
        "Inf": numpy.inf,
        "NAN": numpy.nan,
        "NINF": -numpy.inf,
        "NZERO": -0.0,
        "NaN": numpy.nan,
        "PINF": numpy.inf,
        "PZERO": 0.0,
        "alltrue": numpy.all,
        "in1d": numpy.isin,
        "msort": lambda array: numpy.sort(array, axis=0),
        "product": numpy.prod,
        "round_": numpy.round,
        "sometrue": numpy.any,
        "trapz": numpy.trapezoid,
    }
    | dict.fromkeys(FINANCIAL, _dropped)
)


@contextlib.contextmanager
def names_that_numpy_dropped() -> Iterator[None]:
    """A context in which `numpy` has all DROPPED_NAMES. Afterwards it has only its own names again."""
    missing = [name for name in DROPPED_NAMES if name not in vars(numpy)]
    vars(numpy).update({name: DROPPED_NAMES[name] for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del vars(numpy)[name]


@contextlib.contextmanager
def replaced(packages: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Within the context these modules are imported in place of the packages of these names, unless those have been
    imported before; None: the package can't be imported."""
    modules: dict[str, Any] = sys.modules
    new = [name for name in packages if name not in modules]
    modules.update({name: packages[name] for name in new})
    try:
        yield
    finally:
        for name in new:
            del modules[name]


def _version(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _with_names(name: str, **names: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    return module


# MXNet uses the first three only in functions that nobody calls here. Of distutils, which Python dropped and setuptools
# has, it uses the comparison of NumPy's versions. To import all of them takes longer than MXNet itself.
REPLACED = MappingProxyType(
    {
        "scipy": None,
        "sklearn": None,
        "requests": ModuleType("requests"),
        "distutils": _with_names("distutils", __path__=[]),
        "distutils.version": _with_names("distutils.version", LooseVersion=_version, StrictVersion=_version),
    }
)

with names_that_numpy_dropped(), replaced(REPLACED):
    make_operators_lazily()
    import mxnet as mx

# The thread that imports MXNet only copies arrays. If it copied large ones with a team of threads of its own, there
# would be more OpenMP threads than cores, and OpenMP's threads would no longer look for work before they sleep.
mx.base._LIB.omp_set_num_threads(1)

__all__ = ["mx"]
