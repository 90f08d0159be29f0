"""Draws the house, and writes the tables of states, into the architecture page, from text and from the code.

A block of code in the language ``house`` becomes a drawing: each line is a floor, which may only import
from the floors below it, and the names of a floor, with `` | `` between them, are its rooms. After the line of a
comment ``<!-- states: walkie_signal.module -->`` the table of that module's ``TRANSITIONS`` follows.
"""

# ruff: noqa: INP001 - mkdocs loads a hook by its path

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib import import_module
from typing import Any

HOUSE = re.compile(r"```house\n(.*?)```", re.DOTALL)
STATES = re.compile(r"<!-- states: ([\w.]+) -->")

WIDTH, FLOOR, GAP = 720, 34, 8


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page in; mkdocs calls this with the text of each."""
    drawn = HOUSE.sub(lambda found: drawing(found[1].splitlines()), markdown)
    return STATES.sub(lambda found: table(import_module(found[1]).TRANSITIONS), drawn)


def drawing(floors: list[str]) -> str:
    """Return a house as SVG, in the colours of the text around it."""
    height = len(floors) * (FLOOR + GAP) - GAP
    shapes = "".join(shape for number, floor in enumerate(floors) for shape in rooms(number, floor))
    label = escape("; ".join(floors), quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="The house, from the top: {label}" '
        f'fill="none" stroke="currentColor" font-size="14" style="max-width: {WIDTH}px">{shapes}</svg>\n'
    )


def rooms(number: int, floor: str) -> Iterator[str]:
    """Yield the shapes of a floor, which has its number from the top."""
    names = [name.strip() for name in floor.split("|")]
    width = (WIDTH + GAP) / len(names) - GAP
    top = number * (FLOOR + GAP)
    for place, name in enumerate(names):
        left = place * (width + GAP)
        yield f'<rect x="{left + 1:.0f}" y="{top + 1}" width="{width - 2:.0f}" height="{FLOOR - 2}" rx="4"/>'
        yield (
            f'<text x="{left + width / 2:.0f}" y="{top + FLOOR / 2 + 5:.0f}" text-anchor="middle" '
            f'fill="currentColor" stroke="none">{escape(name)}</text>'
        )


def table(transitions: Mapping[Any, Mapping[Any, Any]]) -> str:
    """Return states as a Markdown table: a row for each state, a column for each step."""
    steps = list(dict.fromkeys(step for following in transitions.values() for step in following))
    lines = ["| | " + " | ".join(word(step) for step in steps) + " |", "|---" * (len(steps) + 1) + "|"]
    for state, following in transitions.items():
        cells = [word(following[step]) if step in following else "" for step in steps]
        lines.append(f"| **{word(state)}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def word(name: Any) -> str:
    """Return the name of a state or a step as words."""
    text: str = name.name.lower().replace("_", " ")
    return text
