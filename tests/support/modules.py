"""Modules of the checkout, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """A module by its dotted name, with its source."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def place(self) -> str:
        """The name without the package's: ``core.rooms``."""
        return self.name.partition(".")[2]

    @property
    def part(self) -> str:
        return self.place.partition(".")[0]

    def imports(self) -> Iterator[str]:
        """Yield the dotted name of each thing imported anywhere in the module, by whatever form."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module, names, level):
                    yield from (f"{self._absolute(module, level)}.{alias.name}" for alias in names)
                case ast.Call(
                    ast.Name("import_module" | "__import__") | ast.Attribute(_, "import_module"),
                    [ast.Constant(str(name)), *_],
                ):
                    yield name

    def _absolute(self, module: str | None, level: int | None) -> str:
        if not level:
            return module or ""
        up = level - 1 if self.is_package else level
        return ".".join([*self.name.split(".")[: -up or None], *filter(None, [module])])

    def named(self) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def lines_of_promises(self) -> int:
        """Count the lines that say what its tests promise: they are a page's text, and not code."""
        count = 0
        for node in self.named():
            for mark in node.decorator_list:
                match mark:
                    case ast.Call(ast.Attribute(_, "promise")):
                        count += (mark.end_lineno or mark.lineno) - mark.lineno + 1
        return count


@cache
def modules_under(folder: str) -> tuple[Module, ...]:
    """Return the modules in that folder of the checkout, named from its top."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "node_modules" not in path.parts:
            parts = path.relative_to(ROOT).with_suffix("").parts
            package = parts[-1] == "__init__"
            found.append(Module(".".join(parts[: -1 if package else None]), path.read_text("utf-8"), package))
    return tuple(found)
