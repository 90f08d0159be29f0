"""The documentation as these tests read it: pages, and the fenced blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SERVER = "http://127.0.0.1:8000"
"""Where examples find a server; tests put the address of theirs in its place."""

FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is where its code begins."""

    page: str
    line: int
    language: str
    title: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A Markdown file, named by its path from the top of the repository."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> Iterator[Block]:
        for found in FENCE.finditer(self.text):
            if found[1] in languages or not languages:
                line = self.text.count("\n", 0, found.start(3)) + 1
                yield Block(self.name, line, found[1], found[2] or "", found[3])

    def table(self, *heads: str) -> list[list[str]]:
        """Return the rows of the tables whose heads begin with these cells; there has to be one."""
        tables = re.findall(r"(?:^\|.*\n)+", self.text, re.MULTILINE)
        rows = [[_cells(line) for line in each.splitlines()] for each in tables]
        found = [row for each in rows if tuple(each[0][: len(heads)]) == heads for row in each[2:]]
        assert found, (self.name, heads)
        return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


PAGES = {
    name: Page(name)
    for name in sorted(
        path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    )
}


def hook(name: str) -> Any:
    """Load one of those that mkdocs loads."""
    spec = spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
