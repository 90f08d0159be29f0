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

from support.watchdog import watched

SCRIPTS = Path(sys.executable).parent
"""The folder with the commands of the environment under test: ``walkie-signal``, ``uvicorn``, …"""


class Program:
    """A running program; it keeps the lines of standard output and standard error together."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._grew = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return "".join(self._lines)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._grew:
                self._lines.append(line.decode(errors="replace"))
                self._grew.notify_all()
        async with self._grew:
            self._grew.notify_all()

    async def line(self, pattern: str, within: float = 30.0) -> re.Match[str]:
        """Wait for a line with `pattern` in it; if none comes, fail and show all the output."""
        found: re.Match[str] | None = None

        def seen() -> bool:
            nonlocal found
            found = next((m for m in (re.search(pattern, line) for line in self._lines) if m), None)
            return found is not None or self._reader.done()

        async def until_seen() -> None:
            async with self._grew:
                await self._grew.wait_for(seen)

        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(until_seen(), within)
        if found is None:
            raise AssertionError(f"no line with {pattern!r} within {within} s; output:\n{self.output}")
        return found

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def wait(self, within: float = 30.0) -> int:
        """Wait for the end; returns the exit status (negative: killed by that signal)."""
        try:
            status = await asyncio.wait_for(self._process.wait(), within)
        except asyncio.TimeoutError:
            raise AssertionError(f"still running after {within} s; output:\n{self.output}") from None
        await self._reader
        return status


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
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await program.wait()
