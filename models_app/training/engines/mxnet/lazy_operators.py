"""Lets MXNet make the functions of its operators when they are called first, instead of all during its import.

MXNet generates, documents and compiles the Python code of 2,500 functions, of which a network needs some dozens. That
is half of the time in which it is imported, and so of each start of a trainer.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from importlib import util
from types import ModuleType
from typing import Any

REGISTRARS = ("_init_op_module", "_init_np_op_module")  # of mxnet.base; each puts functions of operators into modules


def make_operators_lazily() -> None:
    """Call this before MXNet is imported. Raises ImportError if it is not installed."""
    base = _import_base()
    for name in REGISTRARS:
        setattr(base, name, _registering_lazily(getattr(base, name)))


def _import_base() -> ModuleType:
    """mxnet.base alone, which the other modules of MXNet import first."""
    spec = util.find_spec("mxnet")
    if spec is None:
        raise ImportError("MXNet is not installed")
    sys.modules["mxnet"] = util.module_from_spec(spec)  # not executed
    try:
        return importlib.import_module("mxnet.base")
    finally:
        del sys.modules["mxnet"]


def _registering_lazily(register: Callable[..., None]) -> Callable[..., None]:
    """The registrar, with an argument make_op_func whose functions are made at their first call."""
    signature = inspect.signature(register)

    @functools.wraps(register)
    def register_lazily(*arguments: Any, **named: Any) -> None:
        bound = signature.bind(*arguments, **named)
        bound.arguments["make_op_func"] = functools.partial(_lazy, bound.arguments["make_op_func"])
        register(*bound.args, **bound.kwargs)

    return register_lazily


def _lazy(make: Callable[..., Callable], handle: Any, operator: str, name: str) -> Callable:
    """A function that calls `make(handle, operator, name)`, once it is called itself."""
    made: Callable | None = None

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal made
        made = made or make(handle, operator, name)
        return made(*arguments, **named)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = ""  # MXNet edits the texts
    return call
