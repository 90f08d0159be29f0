"""Runs each measure against each server in turn, several rounds, and prints the table of the medians.

    python benchmarks/run.py                      all of it, some ten minutes
    python benchmarks/run.py --only closed_loop   one measure
    python benchmarks/run.py --small              a small load: does the benchmark work?

The server runs on one core and the load on another. Absolute figures are this machine's; the ratios to the
legacy server, taken round by round in one run, are what to quote.
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
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from socket import socket

from measures import MEASURES, REAL, SMALL, Size
from servers import COLUMNS, pin_load, running

from walkie_signal import Settings, __version__

Results = dict[str, dict[str, list[float]]]
"""Figures by name, then by column, one for each round."""


def free_port() -> int:
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def measure(columns: list[str], names: list[str], rounds: int, size: Size) -> Results:
    """Run everything; each measure has a fresh server."""
    results: Results = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for name in names:
            for column in columns:
                gc.collect()
                async with running(COLUMNS[column], free_port()) as server:
                    figures = await MEASURES[name](server, size)
                for figure, value in figures.items():
                    results[figure][column].append(value)
                    print(f"round {number + 1}: {column}: {figure}: {value:.4g}", file=sys.stderr, flush=True)
    return results


def table(results: Results, columns: list[str]) -> str:
    """Write the medians, and behind each its ratio to the first column's, the median of the rounds' ratios."""
    reference, *others = columns
    lines = [
        "| | " + " | ".join(COLUMNS[column].title for column in columns) + " |",
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
    """Write the median of some figures; a dash where the server was too slow for one."""
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
    parser.add_argument("--only", choices=MEASURES, action="append")
    parser.add_argument("--columns", default=",".join(COLUMNS), help="which servers, the reference first")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write every single figure")
    options = parser.parse_args()
    columns = options.columns.split(",")
    pin_load()
    size = SMALL if options.small else REAL
    results = asyncio.run(measure(columns, options.only or list(MEASURES), options.rounds, size))
    print(f"walkie-signal {__version__}, Python {platform.python_version()}, {options.rounds} rounds")
    print("settings in force:", ", ".join(f"{key}={value}" for key, value in asdict(Settings()).items()))
    print()
    print(table(results, columns))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
