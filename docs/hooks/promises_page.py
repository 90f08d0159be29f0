"""Writes what is promised into the promises page, from the markers of the tests, which it reads and doesn't import.

A test that holds a promise says so by ``@pytest.mark.promise("Section", "Sentence")``, with the same words on each
test that holds a part of it; a module of tests by ``pytestmark``. On the page, ``<!-- promises: Section -->``
stands where those of a section go.
"""

# ruff: noqa: INP001 - mkdocs loads a hook by its path

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"<!-- promises: (.+) -->")


class Marker(NamedTuple):
    """A promise on one of the tests that hold it."""

    section: str
    promise: str
    test: str


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page in; mkdocs calls this with the text of each."""
    if PLACE.search(markdown) is None:
        return markdown
    every = list(markers())
    return PLACE.sub(lambda found: "\n".join(lines(found[1], every)), markdown)


def lines(section: str, every: list[Marker]) -> Iterator[str]:
    """Yield the list of a section: each promise, and below it the tests that hold it."""
    tests: dict[str, list[str]] = {}
    for marker in every:
        if marker.section == section:
            tests.setdefault(marker.promise, []).append(marker.test)
    for promise, held_by in tests.items():
        yield f"- {promise}."
        yield from (f"    - `{test}`" for test in held_by)


def markers() -> Iterator[Marker]:
    """Yield those of all tests, file by file."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" not in path.parts:
            yield from markers_of(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8")))


def markers_of(name: str, module: ast.Module) -> Iterator[Marker]:
    """Yield those of the tests in one module."""
    for statement in module.body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if statement.name.startswith("test_"):
                test, marks = f"{name}::{statement.name}", statement.decorator_list
            case ast.Assign([ast.Name("pytestmark")], ast.List(marks)):
                test = name
            case ast.Assign([ast.Name("pytestmark")], mark):
                test, marks = name, [mark]
            case _:
                continue
        for mark in marks:
            match mark:
                case ast.Call(
                    ast.Attribute(ast.Attribute(_, "mark"), "promise"),
                    [ast.Constant(str(section)), ast.Constant(str(promise))],
                ):
                    yield Marker(section, promise, test)
