"""The servers that are compared; each runs by itself on one core."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket

HERE = Path(__file__).parent
LEGACY = HERE.parent / "tests" / "clients" / "legacy"
SCRIPTS = Path(sys.executable).parent

SERVER_CORE, LOAD_CORE = 0, 1


@dataclass(frozen=True)
class Column:
    """One server of the table: how to start it, and the line that says that it listens.

    In braces in its command and environment: `port`; for a node also the `store` that it shares, and a `folder` of
    its own.
    """

    title: str
    command: tuple[str, ...]
    ready: str
    environment: tuple[tuple[str, str], ...] = ()


RAISED = dict.fromkeys(
    ("event_rate", "event_burst", "byte_rate", "byte_burst", "join_rate", "join_burst", "new_room_rate"),
    "1000000000",
)
"""Limits that are counted and never met: each peer of the load does the work of many."""

LIMITS = tuple((f"WALKIE_SIGNAL_{name.upper()}", value) for name, value in RAISED.items())

COLUMNS = {
    "legacy": Column("legacy Node", ("node", str(LEGACY / "server.js")), "ready", (("PORT", "{port}"),)),
    "serve": Column(
        "`walkie-signal serve`",
        (str(SCRIPTS / "walkie-signal"), "serve", "--port", "{port}"),
        "listening on",
        LIMITS,
    ),
    "attach": Column(
        "`attach` on plain uvicorn",
        (str(SCRIPTS / "uvicorn"), "host:app", "--port", "{port}", "--no-access-log", "--app-dir", str(HERE)),
        "running on",
    ),
    "plan": Column(
        "python-socketio's snippet",
        (str(SCRIPTS / "uvicorn"), "plan:app", "--port", "{port}", "--no-access-log", "--app-dir", str(HERE)),
        "running on",
    ),
}


@dataclass(frozen=True)
class Server:
    """A server that listens, with what the kernel counts for it."""

    url: str
    pid: int
    beside: tuple[int, ...] = ()
    """Processes whose CPU is counted with its own."""

    def cpu(self) -> float:
        """Return the seconds of CPU used so far, in user and kernel mode."""
        return sum(map(cpu_of, (self.pid, *self.beside)))

    def memory(self) -> int:
        """Return the bytes of memory that belong to the server (proportional set size)."""
        found = re.search(
            r"^Pss:\s+(\d+) kB", Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.MULTILINE
        )
        assert found is not None
        return int(found[1]) * 1024


def cpu_of(pid: int) -> float:
    """Add up the scheduler's nanoseconds of a process's threads: what is measured may take less than its ticks."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def free_port() -> int:
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pin_load() -> None:
    """Keep this process, the load, off the server's core."""
    with suppress(OSError):  # a machine with one core
        os.sched_setaffinity(0, {LOAD_CORE})


def _pin_server() -> None:
    with suppress(OSError):
        os.sched_setaffinity(0, {SERVER_CORE})


@asynccontextmanager
async def running(column: Column, port: int, **places: str) -> AsyncIterator[Server]:
    """Run a server until the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(part.format(port=port, **places) for part in column.command),
        env={
            **os.environ,
            **{name: value.format(port=port, **places) for name, value in column.environment},
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_pin_server,
    )
    assert process.stdout is not None
    output = b""
    try:
        while column.ready.encode() not in output:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            if not line:
                raise RuntimeError(f"{column.title} did not start:\n{output.decode()}")
            output += line
        drain = asyncio.create_task(process.stdout.read())
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    printed = (await drain).decode(errors="replace")
    if "Traceback" in printed or "ERROR" in printed:
        raise RuntimeError(f"{column.title} complained:\n{printed}")
