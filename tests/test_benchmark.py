"""The benchmark works: it runs small, against every server, and says each figure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.node import require_packages
from support.processes import running

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

FIGURES = [
    "signals a second",
    "CPU per signal (µs)",
    "p50 at 200 a second (ms)",
    "p99 at 200 a second (ms)",
    "memory per idle connection (KB)",
    "connects a second",
    "CPU per connect (µs)",
    "10 joins at once (s)",
    "10 joins at once (MB)",
    "a join into a room of 10, until each member knows (ms)",
    "CPU of a join into a room of 10 (ms)",
    "CPU per signal beside 20 peers, against none",
]


@pytest.mark.node
async def test_the_benchmark_runs_small_and_says_each_figure_of_each_server() -> None:
    require_packages()
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--small", "--rounds", "1"]
    async with running(command, cwd=BENCHMARKS) as program:
        assert await program.wait(100) == 0, program.output
    rows = [line.split("|")[1:-1] for line in program.output.splitlines() if line.startswith("| ")]
    header, *table = [[cell.strip() for cell in row] for row in rows]
    assert header == [
        "",
        "legacy Node",
        "`walkie-signal serve`",
        "`attach` on plain uvicorn",
        "python-socketio's snippet",
    ]
    assert [row[0] for row in table] == FIGURES
    for row in table:
        for cell in row[1:]:
            float(cell.split()[0])  # a figure each, whatever it is on this machine
    assert "settings in force: room_capacity=1000" in program.output
