"""A module and all of the project that it imports as one file: code that is written once and runs anywhere.

The modules may take from each other only by `from module import name`, and no two may use one name at their top.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

PROJECT = ("datasets", "digits_project", "inference", "models_app")


class CanNotBundle(Exception):
    """A module is not written as this needs it; the text says which and how."""


def single_file(entry: ModuleType) -> str:
    """The source of `entry`, under its docstring and after what it needs of the project."""
    parts: dict[str, str] = {}
    _collect(entry, parts)
    source = "\n\n".join(parts.values())
    _check_names(source)
    return f'"""{inspect.getdoc(entry)}\n"""\n\nfrom __future__ import annotations\n\n{source}'


def _collect(module: ModuleType, parts: dict[str, str]) -> None:
    """Add the module to the parts, behind those that it imports."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    dropped: set[int] = set()
    for node in _not_carried_over(ast.parse(source)):
        dropped.update(range(node.lineno, node.end_lineno + 1))
        for needed in _project_modules(node):
            if needed not in parts:
                _collect(importlib.import_module(needed), parts)
    kept = "\n".join(line for number, line in enumerate(lines, start=1) if number not in dropped).strip("\n")
    parts[module.__name__] = f"# --- {module.__name__}\n\n{kept}\n"


def _not_carried_over(tree: ast.Module) -> Iterator[ast.stmt]:
    """The module's docstring, its imports of the project, and those of __future__, which stand at the very top."""
    if ast.get_docstring(tree) is not None:
        yield tree.body[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module == "__future__" or _project_modules(node)):
            yield node


def _project_modules(node: ast.stmt) -> list[str]:
    if not isinstance(node, ast.ImportFrom) or node.module.partition(".")[0] not in PROJECT:
        return []
    if any(alias.asname for alias in node.names):
        raise CanNotBundle(f"{node.module} is imported from under other names")
    return [node.module]


def _check_names(source: str) -> None:
    """Raise CanNotBundle if two modules define one name."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        for name in _defined(node):
            if name in found:
                raise CanNotBundle(f"{name} has two meanings")
            found.add(name)


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
