"""One server in this process: uvicorn with our app, from the start to the farewell."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from walkie_signal.cli.descriptors import Shortage
from walkie_signal.cli.probes import Probes
from walkie_signal.cli.protocols import (
    handshakes_within,
    http_class,
    let_websockets_read_long_heads,
    websocket_class,
)
from walkie_signal.cli.proxies import believing
from walkie_signal.settings import ServeOptions, Settings

log = logging.getLogger("walkie_signal")

POLL_TIMEOUT = 0.5
"""Seconds in which the peers that poll may fetch that the server is about to close, and poll again."""

HASTE = 1.0
"""Seconds that connections have to end once they were closed; then they are cut, whatever the other side does."""

SHUTDOWN_TIMEOUT = 5
"""Seconds after which uvicorn goes on all the same; with `HASTE` before it that is for a fault of ours alone."""


BEAT = 1.0
"""Seconds between two beats."""


def run(
    options: ServeOptions,
    settings: Settings,
    listener: socket.socket,
    started: Callable[[str], None],
    beat: Callable[[], None] | None = None,
) -> None:
    """Serve until one of `ending_signals`.

    Args:
        options: The command's.
        settings: Those of signaling.
        listener: The bound socket.
        started: Told, once it listens, what serves it: uvicorn's WebSocket class, and where rooms are.
        beat: Called every `BEAT` seconds, as long as the event loop runs.
    """
    let_websockets_read_long_heads()
    import uvicorn  # noqa: PLC0415 - only here, so that --help is quick

    from walkie_signal.asgi import attach  # noqa: PLC0415 - likewise

    app: Any = attach(
        Probes(lambda: app.signaling.ready),
        path="/" + options.path.strip("/"),
        cors_origins=options.cors_origin,
        settings=settings,
        backend=options.redis_url or None,
    )
    server = uvicorn.Server(_config(options, settings, app))
    # Also for a signal before uvicorn takes them, and when it raises the one that ended it once more.
    for number in ending_signals():
        signal.signal(number, server.handle_exit)
    server.startup = _announced(server, app, options, started, beat)  # type: ignore[method-assign]
    server.shutdown = _drained(server, app, options.workers)  # type: ignore[method-assign]
    server.run(sockets=[listener])


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a server: a terminal's that closes too, unless ``nohup`` has it ignored."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers


def _config(options: ServeOptions, settings: Settings, app: Any) -> Any:
    import uvicorn  # noqa: PLC0415

    return uvicorn.Config(
        believing(app, options.trusted_proxy),
        access_log=False,  # it would hold tokens that came in a query
        http=http_class(options.head_timeout),
        log_config=None,
        proxy_headers=False,  # `believing` does it
        server_header=False,
        ssl_certfile=options.ssl_certfile or None,
        ssl_keyfile=options.ssl_keyfile or None,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        ws=websocket_class(),
        ws_max_size=settings.max_http_buffer_size,
        ws_per_message_deflate=False,  # it doubles the memory of each connection
        ws_ping_interval=None,  # Engine.IO has pings of its own
    )


def _announced(
    server: Any,
    app: Any,
    options: ServeOptions,
    started: Callable[[str], None],
    beat: Callable[[], None] | None,
) -> Callable[..., Coroutine[Any, Any, None]]:
    """Say that the server listens, once it does."""
    startup = server.startup
    beating: list[asyncio.Task[None]] = []  # asyncio itself keeps no task

    async def start(sockets: list[socket.socket] | None = None) -> None:
        if beat is not None:
            beating.append(asyncio.create_task(_beat_on(beat)))
        with handshakes_within(options.head_timeout):
            await startup(sockets)
        Shortage()
        _spare_the_collector()
        protocol = getattr(server.config.ws_protocol_class, "__name__", "no WebSocket")
        started(f"uvicorn, {protocol}; rooms in {app.signaling.backend.name}")

    return start


async def _beat_on(beat: Callable[[], None]) -> None:
    while True:
        beat()
        await asyncio.sleep(BEAT)


def _drained(server: Any, app: Any, workers: int) -> Callable[..., Coroutine[Any, Any, None]]:
    """Tell the peers that the server ends, and close their connections before uvicorn waits for them."""
    shutdown = server.shutdown

    async def stop(sockets: list[socket.socket] | None = None) -> None:
        begun = time.monotonic()
        open_ones = [each.transport.get_extra_info("socket") for each in server.server_state.connections]
        app.signaling.drain()
        if hasattr(app.sio, "link"):  # no stock server
            from walkie_signal.transport import farewells  # noqa: PLC0415 - which a stock server lacks

            if workers > 1:  # polls of the others' peers come here too: all hang up at about one time
                await asyncio.sleep(POLL_TIMEOUT)
            await farewells.polled(app.sio.eio, POLL_TIMEOUT)
            await app.sio.eio.handed_back()
            farewells.hang_up(app.sio.eio)
        asyncio.get_running_loop().call_later(HASTE, _cut, server, open_ones)
        await shutdown(sockets)
        log.info("ended: connections closed in %.1f s: %d", time.monotonic() - begun, len(open_ones))

    return stop


def _cut(server: Any, open_ones: list[Any]) -> None:
    """Cut the connections that are left: of peers that read nothing, or say only half of what they announced.

    Of asyncio's TLS, `abort` does nothing once `close` was called twice, as uvicorn does: it wants to wait for the
    other side's goodbye for 30 s. The socket underneath is shut down for that.
    """
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    for each in open_ones:
        with suppress(OSError, TypeError):  # it is closed; uvloop's can't be shut down, and need not
            each.shutdown(socket.SHUT_RDWR)


def _spare_the_collector() -> None:
    """Leave what the start has made alone, and look for cycles less often: looking is a sixth of each connect.

    What a connection leaves behind is freed by its count of references, seldom as a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
