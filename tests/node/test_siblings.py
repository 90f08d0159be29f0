"""How processes of one command notice one another, by files that they take with them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from support.processes import Program, running

pytestmark = pytest.mark.programs

WORKER = """
import logging, signal, sys, time
logging.basicConfig(stream=sys.stdout)
from walkie_signal.node.siblings import part_from_siblings, warn_of_siblings
warn_of_siblings()
print("looked", flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    time.sleep(60)
finally:
    part_from_siblings()
"""
WARNING = "SEVERAL WORKERS"


@pytest.fixture
def machine() -> Iterator[Path]:
    """Give a machine's folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="ws-") as folder:
        yield Path(folder)


@asynccontextmanager
async def worker(machine: Path, command: str = "one") -> AsyncIterator[Program]:
    """Run a process that keeps rooms in memory."""
    env = {"TMPDIR": str(machine), "RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""}
    async with running([sys.executable, "-c", WORKER, command], env=env) as program:
        await program.line("^looked$")
        yield program


def left(machine: Path) -> int:
    return len(list((machine / f"walkie-signal-{os.geteuid()}").glob("*.lock")))


@pytest.mark.promise("Hosts", "Several workers with rooms in memory cause a warning, and leave no file")
async def test_the_second_of_a_command_is_warned_and_no_file_is_left(machine: Path) -> None:
    async with worker(machine) as first, worker(machine) as second, worker(machine, "other") as other:
        assert [WARNING in each.output for each in (first, second, other)] == [False, True, False]
        assert left(machine) == 2
        for each in (first, second, other):
            each.send_signal(signal.SIGTERM)
            await each.wait()
        assert left(machine) == 0


async def test_the_files_of_the_killed_are_removed_by_the_next(machine: Path) -> None:
    async with worker(machine) as first, worker(machine, "lives") as lives:
        first.send_signal(signal.SIGKILL)
        await first.wait()
        assert left(machine) == 2
        async with worker(machine, "next"):
            assert left(machine) == 2
        async with worker(machine, "lives") as second:
            assert WARNING in second.output, "the file of one that lives was removed"
        assert WARNING not in lives.output


@pytest.mark.promise("Hosts", "Several workers with rooms in memory cause a warning, and leave no file")
async def test_of_many_that_start_at_once_one_is_not_warned(machine: Path) -> None:
    """With files that were left there, their own among them, and others that remove these meanwhile."""
    for _ in range(3):
        async with AsyncExitStack() as stack:
            commands = ["one"] * 6 + [f"other {number}" for number in range(6)]
            programs = await asyncio.gather(
                *(stack.enter_async_context(worker(machine, command)) for command in commands)
            )
            warned = [WARNING in each.output for each in programs]
            assert (warned[:6].count(False), any(warned[6:])) == (1, False)
            for each in programs:
                with suppress(ProcessLookupError):
                    each.send_signal(signal.SIGKILL)
                await each.wait()
