"""The project's own source as the tests of its architecture read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy", "adapters", "plugins")


class Module(NamedTuple):
    """One file of the three packages."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """`proxy`, `adapters` or `plugins`."""
        return self.name.partition(".")[0]

    @property
    def where(self) -> str:
        """The file as a message names it."""
        return str(self.path.relative_to(ROOT))

    def imports(self) -> set[str]:
        """Return the project's modules that this one imports by statement, anywhere in it."""
        known, found = modules(), set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                children = {f"{base}.{alias.name}" for alias in node.names}
                inside = children & known.keys()
                found |= inside if len(inside) == len(children) else inside | {base}
        return {name for name in found if name.partition(".")[0] in PACKAGES}

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        own = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for _ in range(node.level - 1):
            own = own.rpartition(".")[0]
        return f"{own}.{node.module}" if node.module else own


class Function(NamedTuple):
    """A function or method, with its measures."""

    where: str
    name: str
    body_lines: int
    parameters: int


@cache
def modules() -> dict[str, Module]:
    """Return every module of the three packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = path.read_text(encoding="utf-8")
            found[name] = Module(name, path, text, ast.parse(text))
    return found


def functions(module: Module) -> Iterator[Function]:
    """Yield all functions of a module, those inside others too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{module.where}:{node.lineno}"
            yield Function(where, node.name, _body_lines(node), _parameters(node))


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 0
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count what a caller may give by place; `self` and `cls` are no choice of the caller."""
    names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
    return len(names[1:] if names[:1] in (["self"], ["cls"]) else names)
