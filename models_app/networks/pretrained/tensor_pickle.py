"""Reads the pickles of PyTorch's files without Python's unpickler: builds tensors, and can build nothing else.

A pickle is a program for a stack machine, whose instructions can call any function of any module. This machine knows
the instructions that describe data, and the functions in FUNCTIONS. It refuses everything else by name. It calls no
function that the file names, so no file can run code.
"""

from __future__ import annotations

import pickletools  # nosec B403 - it lists the instructions of a pickle and runs none
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from models_app.networks.pretrained.stored_tensors import (
    BFLOAT16,
    MAX_AXES,
    MAX_NAME,
    BadTensors,
    BoundedReader,
    check_counts,
)

MAX_BYTES = 4 << 20  # of one pickle; ResNet-50's has 40 kB
REMEDY = "Save the weights alone: torch.save(model.state_dict(), path), or as .safetensors"

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


@dataclass(frozen=True)
class Storage:
    """A block of numbers of one type, which tensors are views of; `key` is its name in the file."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Function:
    """A function that the pickle names, from FUNCTIONS."""

    name: str
    call: Callable[..., Any]


@dataclass(frozen=True)
class _StorageType:
    dtype: str


def unpickle(file: BinaryIO) -> Any:
    """The next value of a file: numbers, texts, tuples, lists and dictionaries of them, and Tensors.

    Raises BadTensors, which names what is not a tensor.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(cast(IO[bytes], BoundedReader(file, MAX_BYTES))):
            if instruction.name == "STOP":
                return machine.pop()
            machine.step(instruction.name, argument)
    except BadTensors:
        raise
    except (ValueError, IndexError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTensors(f"it is not a whole pickle ({error})") from error
    raise BadTensors("it is cut short")


class _Machine:
    """The stack of a pickle, and the values that it remembers by number.

    A mark on the stack starts a group of values. The values below it are put aside, so that a group is found at once.
    """

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        if name in LITERALS:
            self._stack.append(argument)
        elif name in MADE:
            self._stack.append(MADE[name]())
        elif name in STEPS:
            STEPS[name](self, argument)
        elif name not in IGNORED:
            raise BadTensors(f"it has the instruction {name}, which no tensor needs. {REMEDY}")

    def pop(self) -> Any:
        return self._stack.pop()

    def _group(self) -> list[Any]:
        """Remove the values down to the last mark, and the mark."""
        group, self._stack = self._stack, self._below.pop()
        return group

    def _mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _put(self, number: int | None) -> None:
        self._memo[len(self._memo) if number is None else number] = self._stack[-1]

    def _get(self, number: int) -> None:
        self._stack.append(self._memo[number])

    def _tuple(self, count: int | None) -> None:
        values = self._group() if count is None else [self.pop() for _ in range(count)][::-1]
        self._stack.append(tuple(values))

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise BadTensors("it adds to a value that is not a list")
        self._stack[-1].extend(values)

    def _update(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], dict) or len(values) % 2:
            raise BadTensors("it adds to a value that is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (str, int, float, type(None))):  # a hash of nested values has no bound
                raise BadTensors(f"a dictionary has a key of type {type(key).__name__}")
            self._stack[-1][key] = value

    def _set_item(self, _: None) -> None:
        value, key = self.pop(), self.pop()
        self._update([key, value])

    def _name(self, argument: str) -> None:
        """Push what a module's name stands for, if it is known."""
        module, _, name = argument.partition(" ")
        if module == "torch" and name in STORAGES:
            self._stack.append(_StorageType(STORAGES[name]))
        elif (module, name) in FUNCTIONS:
            self._stack.append(_Function(f"{module}.{name}", FUNCTIONS[module, name]))
        else:
            held = f"{module}.{name}"[:MAX_NAME]
            raise BadTensors(f"it holds {held}, which is not a tensor: only tensors are read. {REMEDY}")

    def _name_on_stack(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        self._name(f"{module} {name}")

    def _reduce(self, _: None) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Function) or not isinstance(arguments, tuple):
            raise BadTensors("it calls a value that is not a function")
        self._stack.append(function.call(*arguments))

    def _build(self, _: None) -> None:
        """Drop the attributes of a dictionary; PyTorch keeps the versions of its modules there."""
        self.pop()
        if not isinstance(self._stack[-1], dict):
            raise BadTensors("it sets attributes of a value that is not a dictionary")

    def _storage(self, _: None) -> None:
        identity = self.pop()
        kind, storage_type, key, _, count, *view = identity
        if kind != "storage" or not isinstance(storage_type, _StorageType) or not isinstance(key, str):
            raise BadTensors("it refers to something that is not a storage of numbers")
        if any(part is not None for part in view):
            raise BadTensors("its storages are views of each other, as in files of before 2018. Save it again")
        check_counts(count)
        self._stack.append(Storage(storage_type.dtype, key, count))


def _ordered_dict(*items: Any) -> dict[str, Any]:
    if items and items != ([],) and items != ((),):
        raise BadTensors("it has a dictionary in a form that PyTorch does not write")
    return {}


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2; the further arguments are about gradients."""
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise BadTensors("it has a tensor of something that is not a storage of numbers")
    if len(shape) != len(strides) or len(shape) > MAX_AXES:
        raise BadTensors("it has a tensor whose shape and strides differ in length")
    check_counts(offset, *shape, *strides)
    return Tensor(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise BadTensors("it has a parameter that is not a tensor")
    return data


FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): lambda sizes: tuple(sizes),
}

# Instructions that push their argument, or a new value.
LITERALS = {
    "BINBYTES", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "BINUNICODE8", "FLOAT", "INT",
    "LONG", "LONG1", "LONG4", "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE", "STRING", "UNICODE",
}  # fmt: skip
MADE: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "NONE": lambda: None,
}
IGNORED = {"FRAME", "PROTO"}
STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "APPEND": lambda machine, _: machine._extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine._extend(machine._group()),
    "BINGET": _Machine._get,
    "BINPERSID": _Machine._storage,
    "BINPUT": _Machine._put,
    "BUILD": _Machine._build,
    "GET": _Machine._get,
    "GLOBAL": _Machine._name,
    "LONG_BINGET": _Machine._get,
    "LONG_BINPUT": _Machine._put,
    "MARK": _Machine._mark,
    "MEMOIZE": _Machine._put,
    "PUT": _Machine._put,
    "REDUCE": _Machine._reduce,
    "SETITEM": _Machine._set_item,
    "SETITEMS": lambda machine, _: machine._update(machine._group()),
    "STACK_GLOBAL": _Machine._name_on_stack,
    "TUPLE": lambda machine, _: machine._tuple(None),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
}
