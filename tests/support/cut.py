"""A TCP proxy that a test can cut, make deaf in one direction or both, and slow down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Literal

from support.waiting import WITHIN, Arrivals

Direction = Literal["in", "out"]
"""``out`` is from the client to the target; ``in`` is from the target to the client."""


class Line:
    """One connection through the proxy.

    Attributes:
        port: The proxy's own port on the connection to the target, by which the target knows the line.
        swallowed: The directions in which bytes are taken and not passed on.
    """

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._ends = (near, far)
        self.port: int = far.get_extra_info("sockname")[1]
        self.swallowed: frozenset[str] = frozenset()

    def swallow(self, *directions: Direction) -> None:
        """Take bytes and pass nothing on, like a network that has lost a peer; this can't be undone."""
        self.swallowed = frozenset(directions)

    def abort(self) -> None:
        """Reset both connections."""
        for end in self._ends:
            end.transport.abort()


class Cut:
    """The proxy.

    Attributes:
        port: The port on loopback where it listens.
        lines: The open connections.
        accepted: How many connections there have been so far.
        open: Whether new connections are let through; if not, they are reset.
        target: The address that new connections lead to.
        delay: Returns the seconds that each piece waits before it is passed on; the order stays.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.port = 0
        self.lines: set[Line] = set()
        self.accepted = 0
        self.open = True
        self.delay: Callable[[], float] | None = None
        self.target = target
        self._arrivals = Arrivals(lambda: f"{len(self.lines)} open, {self.accepted} accepted")
        self._tasks: set[asyncio.Task[None]] = set()

    def swallow(self, *directions: Direction, ports: Collection[int] | None = None) -> list[Line]:
        """Swallow on the open lines, or only on those with `ports`; returns these lines."""
        lines = [line for line in self.lines if ports is None or line.port in ports]
        for line in lines:
            line.swallow(*directions)
        return lines

    def cut(self) -> None:
        """Reset every line; `open` decides about new ones."""
        for line in list(self.lines):
            line.abort()

    async def until(self, seen: Callable[[Cut], bool], what: str, within: float = WITHIN) -> None:
        """Wait until a condition on the proxy holds."""
        await self._arrivals.until(lambda: seen(self), what, within)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            return
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        line = Line(writer, far_writer)
        self.lines.add(line)
        self.accepted += 1
        self._arrivals.grew()
        pumps = [
            asyncio.create_task(self._pump(line, "out", reader, far_writer)),
            asyncio.create_task(self._pump(line, "in", far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            line.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.lines.discard(line)
            self._arrivals.grew()

    async def _pump(
        self, line: Line, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(1 << 16):
            if self.delay is not None:
                await asyncio.sleep(self.delay())
            if direction not in line.swallowed:
                writer.write(piece)
                await writer.drain()

    async def _close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def cut(port: int, host: str = "127.0.0.1") -> AsyncIterator[Cut]:
    """Run a proxy in front of a port until the block is left."""
    proxy = Cut((host, port))
    server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy._close()
        await server.wait_closed()
