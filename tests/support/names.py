"""A name that resolves to the addresses that a test chooses, on either event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvloop

NAME = "redis.test"

LOOPS: dict[str, Any] = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.Loop}


class Resolver:
    """Resolves `NAME` for everything that runs on its loop.

    Attributes:
        ports: Ports of loopback, in the order of the answer.
        takes: Seconds that a look-up takes.
        asked: How often the name was looked up.
    """

    def __init__(self, *ports: int, takes: float = 0) -> None:
        self.ports = ports
        self.takes = takes
        self.asked = 0

    def run(self, loop: str, work: Coroutine[Any, Any, None]) -> None:
        """Run something on a loop of a kind."""
        kind = LOOPS[loop]

        async def getaddrinfo(of: Any, host: str, port: int, **how: Any) -> Any:
            return await (self._look_up() if host == NAME else kind.getaddrinfo(of, host, port, **how))

        made: asyncio.AbstractEventLoop = type("Loop", (kind,), {"getaddrinfo": getaddrinfo})()
        try:
            made.run_until_complete(work)
        finally:
            made.run_until_complete(made.shutdown_asyncgens())
            made.close()

    async def _look_up(self) -> list[tuple[Any, ...]]:
        self.asked += 1
        await asyncio.sleep(self.takes)
        tcp = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*tcp, ("127.0.0.1", each)) for each in self.ports]


@contextmanager
def black_hole() -> Iterator[int]:
    """Give a port of loopback that answers nothing, not even a refusal, because its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        where = listener.getsockname()
        while True:
            waits = stack.enter_context(socket.socket())
            waits.settimeout(0.2)
            try:
                waits.connect(where)
            except TimeoutError:
                break
        yield where[1]
