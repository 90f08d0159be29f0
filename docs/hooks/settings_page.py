"""Writes the table of each group of settings into the settings page, from the fields of `walkie_signal.settings`.

On the page, ``<!-- settings: Settings -->`` stands where the table of the group `Settings` goes.
"""

# ruff: noqa: INP001 - mkdocs loads a hook by its path

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any

from walkie_signal import settings
from walkie_signal.cli.options import option_name, variable_name
from walkie_signal.settings.declaration import Group

PLACE = re.compile(r"<!-- settings: (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page in; mkdocs calls this with the text of each."""
    return PLACE.sub(lambda found: table(getattr(settings, found[1])), markdown)


def table(group: type[Group]) -> str:
    """Return a group as a Markdown table."""
    return "\n".join(rows(group))


def rows(group: type[Group]) -> Iterator[str]:
    """Yield the lines of a group's table."""
    in_python = issubclass(group, settings.Settings)
    head = "| In Python | Option | Environment |" if in_python else "| Option | Environment |"
    yield f"{head} Default | Unit | What it is |"
    yield "|---" * (head.count("|") + 2) + "|"
    for each in fields(group):
        names = [each.name] if in_python else []
        names += [option_name(each), variable_name(each)]
        cells = [f"`{name}`{{ .name }}" for name in names]  # the style sheet keeps it from being broken
        cells += [default_of(each)]
        cells += [each.metadata.get("unit", ""), text_of(each)]
        yield f"| {' | '.join(cells)} |"


def default_of(each: Field[Any]) -> str:
    """Return a field's default as one would type it."""
    value = each.default
    shown = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"`{shown}`" if shown else "none"


def text_of(each: Field[Any]) -> str:
    """Return what a field is, and what it may be."""
    text: str = each.metadata["text"]
    if "choices" in each.metadata:
        text += f" One of {', '.join(f'`{choice}`' for choice in each.metadata['choices'])}."
    if isinstance(each.default, tuple):
        text += " May be given several times; in the environment, between spaces or commas."
    if "above" in each.metadata:
        text += f" More than {each.metadata['above']}."
    if "least" in each.metadata:
        text += f" At least {each.metadata['least']}."
    return text.replace("|", "\\|")
