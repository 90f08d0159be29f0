"""Real servers for a test, each on its own port of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import uvicorn

from support.processes import SCRIPTS, Program, running
from support.waiting import eventually


@dataclass(frozen=True)
class Serving:
    """A ``walkie-signal serve`` that listens."""

    url: str
    """The URL without the path, such as ``http://127.0.0.1:45123``."""
    program: Program


@asynccontextmanager
async def serve(*options: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Serving]:
    """Run ``walkie-signal serve`` on a free port of loopback, ready to connect to."""
    async with running([SCRIPTS / "walkie-signal", "serve", "--port", "0", *options], env=env) as program:
        found = await program.line(r"listening on (https?://[^/\s]+)")
        yield Serving(found[1], program)


def free_port() -> int:
    """Return a port that nothing listens on right now, for a server that can't take a bound socket."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def listens(port: int) -> None:
    """Wait until a port takes connections: a worker of uvicorn says that it has started a moment before."""

    async def takes() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    await eventually(takes, what="listening")


WEBSOCKET_CLASS: Any = "auto"
"""The default of `hosted` for uvicorn's option ``ws``."""


@asynccontextmanager
async def hosted(app: Any, **config: Any) -> AsyncIterator[str]:
    """Run an ASGI app on uvicorn in this event loop, on a pre-bound socket; yields its URL without a path.

    `config` goes to `uvicorn.Config`, except ``family``: with ``AF_INET6``, the app listens on every address,
    and the URL has the IPv4 address. The lifespan has started when this yields, and has ended when the block is
    left.
    """
    family = config.pop("family", socket.AF_INET)
    # asyncio only sets TCP_NODELAY if the socket names the protocol
    with closing(socket.socket(family, proto=socket.IPPROTO_TCP)) as listener:
        listener.bind(("127.0.0.1" if family == socket.AF_INET else "::", 0))
        options: dict[str, Any] = {
            "ws": WEBSOCKET_CLASS,
            "log_config": None,
            "timeout_graceful_shutdown": 2,
            **config,
        }
        server = uvicorn.Server(uvicorn.Config(app, **options))
        running_server = asyncio.create_task(server._serve([listener]))
        try:
            while not server.started:
                if running_server.done():
                    await running_server
                    raise AssertionError("the server ended before it had started")
                await asyncio.sleep(0.005)  # uvicorn offers no event to await
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running_server
