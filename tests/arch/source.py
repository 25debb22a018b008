"""The source of tickonce as trees, for tests of the house rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Module:
    """One file of the package.

    Attributes:
        path: Where it is, from ``src``.
        name: Its dotted name.
        tree: What it says.
        lines: How many lines it has.
    """

    path: Path
    name: str
    tree: ast.Module
    lines: int

    def within(self, *packages: str) -> bool:
        """Say whether it is, or lies in, one of *packages*, named below ``tickonce``."""
        return any(f"{self.name}.".startswith(f"tickonce.{package}.") for package in packages)

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield each module that running this one imports from outside tickonce, by its first name, with the line.

        Imports inside functions count. What only type checkers read does not: it costs and couples nothing.
        """
        for node in _walk_what_runs(self.tree):
            match node:
                case ast.Import(names=names):
                    yield from ((alias.name.split(".")[0], node.lineno) for alias in names)
                case ast.ImportFrom(module=str(module), level=0):
                    yield module.split(".")[0], node.lineno

    def at(self, line: int, what: str) -> str:
        """Return *what* with its place, as an editor jumps to it."""
        return f"src/{self.path}:{line}: {what}"


@cache
def modules() -> tuple[Module, ...]:
    """Return every file of the package."""
    return tuple(map(_read, sorted(SRC.rglob("*.py"))))


def _read(path: Path) -> Module:
    text = path.read_text()
    place = path.relative_to(SRC)
    name = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
    return Module(path=place, name=name, tree=ast.parse(text), lines=text.count("\n"))


def _walk_what_runs(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _walk_what_runs(other)
        else:
            yield from _walk_what_runs(child)
