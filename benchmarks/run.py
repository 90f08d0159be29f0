"""Runs each measure against each server in turn, several rounds, and prints the tables of the medians.

    python benchmarks/run.py                      all of it, some half an hour
    python benchmarks/run.py --part server        one server at a time
    python benchmarks/run.py --part nodes         several nodes, most of them over Redis (redis-server on the PATH)
    python benchmarks/run.py --part emits         what a host emits to rooms of its own, across two nodes
    python benchmarks/run.py --only closed_loop   one measure
    python benchmarks/run.py --small              a small load: does the benchmark work?

The server, or the nodes and their Redis, run on one core and the load on another. Absolute figures depend on the
machine; quote the ratios to the legacy server, which are taken round by round in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import platform
import statistics
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cluster_measures
import emit_measures
import measures
from clusters import KINDS
from measures import Figures
from servers import COLUMNS, LEGACY, free_port, pin_load, running

from walkie_signal import Settings, __version__

Results = dict[str, dict[str, list[float]]]
"""Figures by name, then by column, one for each round."""


@dataclass(frozen=True)
class Part:
    """A table: its columns by name, the names of its measures, and how to run a measure for a column."""

    titles: dict[str, str]
    names: list[str]
    run: Callable[..., Awaitable[Figures]]


async def of_a_server(name: str, column: str, *, small: bool) -> Figures:
    """Run one measure against a fresh server."""
    async with running(COLUMNS[column], free_port()) as server:
        return await measures.MEASURES[name](server, measures.SMALL if small else measures.REAL)


async def of_nodes(name: str, column: str, *, small: bool) -> Figures:
    """Run one measure with fresh nodes."""
    load = cluster_measures.SMALL if small else cluster_measures.REAL
    return await cluster_measures.MEASURES[name](KINDS[column], load)


EMITTING = emit_measures.kinds(str(LEGACY / "node_modules"))


async def of_emits(name: str, column: str, *, small: bool) -> Figures:
    """Run one measure of a host's emits with fresh nodes."""
    load = emit_measures.SMALL if small else emit_measures.REAL
    return await emit_measures.MEASURES[name](EMITTING[column], load)


PARTS = {
    "server": Part(
        {name: column.title for name, column in COLUMNS.items()}, list(measures.MEASURES), of_a_server
    ),
    "nodes": Part(
        {name: kind.title for name, kind in KINDS.items()}, list(cluster_measures.MEASURES), of_nodes
    ),
    "emits": Part(
        {name: kind.title for name, kind in EMITTING.items()}, list(emit_measures.MEASURES), of_emits
    ),
}


async def measure(part: Part, columns: list[str], names: list[str], rounds: int, *, small: bool) -> Results:
    """Run everything."""
    results: Results = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for name in names:
            for column in columns:
                gc.collect()
                for figure, value in (await part.run(name, column, small=small)).items():
                    results[figure][column].append(value)
                    print(f"round {number + 1}: {column}: {figure}: {value:.4g}", file=sys.stderr, flush=True)
    return results


def table(results: Results, titles: dict[str, str], columns: list[str]) -> str:
    """Write the medians, each with its ratio to the first column, which is the median of the rounds' ratios."""
    reference, *others = columns
    lines = [
        "| | " + " | ".join(titles[column] for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for figure, values in results.items():
        cells = [written(values[reference])]
        for column in others:
            pairs = zip(values[column], values[reference], strict=True)
            ratios = [mine / theirs if theirs else math.nan for mine, theirs in pairs]
            cells.append(written(values[column], ratios))
        lines.append(f"| {figure} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def written(values: list[float], ratios: list[float] | None = None) -> str:
    """Write the median of some figures; a dash if the server was too slow for one."""
    if any(map(math.isnan, values)):
        return "-"
    if ratios is None or any(map(math.isnan, ratios)):
        return f"{statistics.median(values):.3g}"
    return f"{statistics.median(values):.3g} ({statistics.median(ratios):.2f} x)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument(
        "--only", choices=[name for part in PARTS.values() for name in part.names], action="append"
    )
    parser.add_argument("--columns", help="which servers, the reference first, such as legacy,serve")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write every single figure")
    options = parser.parse_args()
    pin_load()
    print(f"walkie-signal {__version__}, Python {platform.python_version()}, {options.rounds} rounds")
    print("settings in force:", ", ".join(f"{key}={value}" for key, value in asdict(Settings()).items()))
    everything: Results = {}
    for part in (PARTS[name] for name in options.part or PARTS):
        columns = options.columns.split(",") if options.columns else list(part.titles)
        names = [name for name in part.names if name in (options.only or part.names)]
        if names:
            results = asyncio.run(measure(part, columns, names, options.rounds, small=options.small))
            print(f"\n{table(results, part.titles, columns)}", flush=True)
            everything.update(results)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
