"""How a server that ends closes its connections, so that stock clients come back to the next server on its port."""

from __future__ import annotations

import asyncio

from walkie_signal.transport.engineio.polling import Polling
from walkie_signal.transport.engineio.server import Engine


async def polled(engine: Engine, within: float) -> None:
    """Wait, for at most `within` seconds, until all polling clients have fetched what waits and poll again.

    `hang_up` can only tell a client by answering a poll that is under way.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while loop.time() < deadline and any(  # noqa: ASYNC110 - it runs once in a server's life, for a short time
        isinstance(connection.carrier, Polling) and not connection.closed and not connection.carrier.polled
        for connection in engine.sockets.values()
    ):
        await asyncio.sleep(0.02)


def hang_up(engine: Engine) -> None:
    """Close all connections without waiting for them."""
    for connection in list(engine.sockets.values()):
        connection.close(engine.reason.TRANSPORT_CLOSE, code=1012)
