"""The architecture page shows the code as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from docs.pages import ROOT
from support.layout import LAYERS

PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page as it is built."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return Path(folder, "architecture/index.html").read_text("utf-8")


def test_the_drawing_has_the_floors_that_imports_keep_to(built: str) -> None:
    (house,) = re.findall(r"```house\n(.*?)```", PAGE, re.DOTALL)
    floors = [set(floor.split(" | ")) for floor in house.splitlines()]
    there = {path.stem for path in (ROOT / "walkie_signal").iterdir() if path.stem.strip("_")}
    ranked = [set(parts) & there for parts in reversed(LAYERS)]
    assert floors == [parts - {"testing"} for parts in ranked if parts]
    (drawing,) = re.findall(r"<svg.*?The house.*?</svg>", built, re.DOTALL)
    assert set(re.findall(r">([\w]+)</text>", drawing)) == set.union(*floors)


@pytest.mark.parametrize("module", re.findall(r"<!-- states: ([\w.]+) -->", PAGE))
def test_the_tables_of_states_are_those_that_the_code_runs_by(module: str, built: str) -> None:
    transitions = import_module(module).TRANSITIONS
    tables = [rows_of(table) for table in re.findall(r"<table>(.*?)</table>", built, re.DOTALL)]
    shown = [table for table in tables if {row[0] for row in table[1:]} == set(map(word, transitions))]
    assert len(shown) == 1
    head, *rows = shown[0]
    for state, row in zip(transitions, rows, strict=True):
        cells = {step: cell for step, cell in zip(head[1:], row[1:], strict=True) if cell}
        assert cells == {word(step): word(after) for step, after in transitions[state].items()}


def rows_of(table: str) -> list[list[str]]:
    """Return the cells of a table, without tags."""
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [
        [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)] for row in rows
    ]


def word(name: object) -> str:
    """Return a state or a step as the page writes it."""
    return str(getattr(name, "name", "")).lower().replace("_", " ")
