"""Programs that a test starts, reads and ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from support.measured import VARIABLE
from support.waiting import Arrivals, in_time
from support.watchdog import watched

SCRIPTS = Path(sys.executable).parent
"""The folder with the commands of the environment under test: ``walkie-signal``, ``uvicorn``, …"""


class Program:
    """A running program; it keeps the lines of standard output and standard error together."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._arrivals = Arrivals(lambda: self.output)
        self._reader = asyncio.create_task(self._read())
        self._reader.add_done_callback(lambda _: self._arrivals.grew())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return "".join(self._lines)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._lines.append(line.decode(errors="replace"))
            self._arrivals.grew()

    async def line(self, pattern: str, within: float = 30.0) -> re.Match[str]:
        """Wait for a line with `pattern` in it; if none comes, fail and show all the output."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            found.extend(match for line in self._lines if (match := re.search(pattern, line)))
            return bool(found) or self._reader.done()

        await self._arrivals.until(seen, f"line with {pattern!r}", within)
        assert found, f"it has ended without a line with {pattern!r}; output:\n{self.output}"
        return found[0]

    async def says(self, text: str, times: int, within: float = 30.0) -> None:
        """Wait until a text has come so many times."""
        await self._arrivals.until(
            lambda: self.output.count(text) >= times, f"{times} times {text!r}", within
        )

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def wait(self, within: float = 30.0) -> int:
        """Wait for the end; returns the exit status (negative: killed by that signal)."""
        status = await in_time(self._process.wait(), lambda: f"not ended; output:\n{self.output}\n", within)
        await self._reader
        return status


MEASURED_ENDS_IN = 5.0
"""Seconds that a program has whose coverage is measured."""


@asynccontextmanager
async def running(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run `command` with `env` added to the environment; at the end, kill it and its children if they still run."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=1 << 22,
    )
    program = Program(process)
    with watched(process.pid, group=True):
        try:
            yield program
        finally:
            if VARIABLE in os.environ:
                await _let_end(program)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await program.wait()


async def _let_end(program: Program) -> None:
    """Let a program that is measured write down what it has run."""
    with suppress(ProcessLookupError, AssertionError):
        program.send_signal(signal.SIGTERM)
        await program.wait(MEASURED_ENDS_IN)
