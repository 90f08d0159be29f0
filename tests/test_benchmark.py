"""The benchmark works: it runs small, against every server and kind of nodes, and says each figure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.node import require_packages
from support.processes import running

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def through_redis(name: str) -> list[str]:
    return [
        f"Redis's commands per {name}",
        f"publications per {name}",
        f"bytes that Redis reads per {name}",
        f"bytes that Redis sends per {name}",
        f"Redis's CPU per {name} (µs)",
    ]


SERVER_FIGURES = [
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


NODES_FIGURES = [
    "CPU per signal between two nodes at 200 a second (µs)",
    "p50 between two nodes at 200 a second (ms)",
    "p99 between two nodes at 200 a second (ms)",
    *through_redis("signal between two nodes"),
    "CPU per signal between two nodes, saturated, against one node",
    "CPU per signal within a node, with the store against without",
    "its own CPU per second of each of 2 nodes at rest (µs)",
    *through_redis("second of each of 2 nodes at rest"),
    "CPU of a join into a room of 6 on 2 nodes (ms)",
    *through_redis("join into a room of 6 on 2 nodes"),
    "… of 6, beside 1 nodes without members (ms)",
    "its own CPU per second of each of 3 nodes at rest (µs)",
    *through_redis("second of each of 3 nodes at rest"),
    "10 peers dropped at once, until all have joined again (s)",
    "… until each has the whole roster and nobody else (s)",
]

EMITS_FIGURES = [
    "CPU of an emit to one listener on another node, 200 a second (µs)",
    "p50 of an emit to one listener on another node, 200 a second (ms)",
    "p99 of an emit to one listener on another node, 200 a second (ms)",
    "… its CPU beside 1 more nodes, without their rest (µs)",
    *through_redis("emit to one listener"),
    "CPU of a voice frame to 4 listeners on two nodes, 2 channels (µs)",
]

Table = list[list[str]]


async def small_run(*options: str) -> tuple[list[str], Table]:
    """Run the benchmark small; returns the table's header and its rows."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--small", "--rounds", "1", *options]
    async with running(command, cwd=BENCHMARKS) as program:
        assert await program.wait(100) == 0, program.output
    assert "settings in force: room_capacity=1000" in program.output
    rows = [line.split("|")[1:-1] for line in program.output.splitlines() if line.startswith("| ")]
    header, *table = [[cell.strip() for cell in row] for row in rows]
    return header, table


@pytest.mark.promise("The transport", "The benchmark runs")
@pytest.mark.node
async def test_the_benchmark_runs_small_and_says_each_figure_of_each_server() -> None:
    require_packages()
    header, table = await small_run("--part", "server")
    assert header == [
        "",
        "legacy Node",
        "`walkie-signal serve`",
        "`attach` on plain uvicorn",
        "python-socketio's snippet",
    ]
    assert [row[0] for row in table] == SERVER_FIGURES
    for row in table:
        for cell in row[1:]:
            float(cell.split()[0])  # a figure each, whatever it is on this machine


@pytest.mark.parametrize(("column", "publications"), [("serve", 1), ("together", 0), ("machine", None)])
async def test_the_benchmark_says_each_figure_of_our_nodes(column: str, publications: int | None) -> None:
    """And signals go by Redis only between machines."""
    _, table = await small_run("--part", "nodes", "--columns", column)
    figures = {name: None if cell == "-" else float(cell) for name, cell in table}
    assert list(figures) == NODES_FIGURES
    through = {name for name in NODES_FIGURES if "Redis" in name or name.startswith("publications")}
    assert {name for name in figures if figures[name] is None} == (through if column == "machine" else set())
    published = figures["publications per signal between two nodes"]
    assert published == (None if publications is None else pytest.approx(publications, abs=0.1)), figures


@pytest.mark.node
async def test_the_benchmark_says_each_figure_of_the_legacy_nodes() -> None:
    require_packages()
    header, table = await small_run("--part", "nodes", "--columns", "legacy")
    assert header == ["", "legacy Node with `@socket.io/redis-adapter`"]
    figures = dict(table)
    assert list(figures) == NODES_FIGURES
    assert figures["publications per signal between two nodes"] == "1", figures
    # its rosters tell of one node's members, so nobody ever has the whole one
    assert figures.pop("… until each has the whole roster and nobody else (s)") == "-"
    for cell in figures.values():
        float(cell)


@pytest.mark.node
async def test_the_benchmark_says_each_figure_of_a_host_s_emits() -> None:
    require_packages()
    header, table = await small_run("--part", "emits")
    assert header == [
        "",
        "Node with `@socket.io/redis-adapter`",
        "`attach` on Redis, as on two machines",
        "`attach` on `machine:…`",
    ]
    assert [row[0] for row in table] == EMITS_FIGURES
    for name, node, redis, machine in table:
        float(node.split()[0])
        float(redis.split()[0])
        assert (machine == "-") == ("Redis" in name or name.startswith("publications")), name
    published = {name: float(redis.split()[0]) for name, _, redis, _ in table}[
        "publications per emit to one listener"
    ]
    assert published == pytest.approx(1, abs=0.1), "one message, to the node with the listener"
