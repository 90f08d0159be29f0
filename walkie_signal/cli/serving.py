"""One server in this process: uvicorn with our app, from its start to its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from walkie_signal.backends.named import backend_of
from walkie_signal.bounded_log import say_what_was_left_out
from walkie_signal.cli.descriptors import Shortage
from walkie_signal.cli.protocols import (
    handshakes_within,
    http_class,
    let_websockets_read_long_heads,
    websocket_class,
)
from walkie_signal.cli.proxies import believing
from walkie_signal.cli.verifiers import verifier_of
from walkie_signal.cli.webhooks import webhook_of
from walkie_signal.settings import ServeOptions, Settings
from walkie_signal.web.probes import Probes

if TYPE_CHECKING:
    from walkie_signal.webhook.sender import Webhook

log = logging.getLogger("walkie_signal")

POLL_TIMEOUT = 0.5
"""Seconds that polling peers have to fetch the news that the server is about to close, and to poll again."""

HASTE = 1.0
"""Seconds that connections have to end once they were closed; then they are cut, whatever the other side does."""

SHUTDOWN_TIMEOUT = 5
"""Seconds after which uvicorn stops waiting; because of `HASTE`, this only happens if we have a bug."""

LAST_EVENTS = 2.0
"""Seconds that the webhook has for what waits when all peers have left; a receiver that is up needs less."""

KEPT = frozenset(
    (b"accept-encoding", b"authorization", b"host", b"origin", b"sec-websocket-protocol", b"user-agent")
)
"""The headers of its handshake that a session keeps, because something reads them after it has begun."""

BEAT = 1.0
"""Seconds between two beats."""


def run(
    options: ServeOptions,
    settings: Settings,
    listener: socket.socket,
    started: Callable[[str], None],
    beat: Callable[[], None] | None = None,
    *,
    workers: str | None = None,
) -> None:
    """Serve until one of `ending_signals`.

    Args:
        options: The options of the command.
        settings: The settings of signaling.
        listener: The bound socket.
        started: Called once the server listens, with a description: uvicorn's WebSocket class, and where rooms are.
        beat: Called every `BEAT` seconds, as long as the event loop runs.
        workers: What all workers of this command have in common; ``None`` if this is the only one.
    """
    let_websockets_read_long_heads()
    import uvicorn  # noqa: PLC0415 - only here, so that --help is quick

    from walkie_signal.asgi import attach  # noqa: PLC0415 - as above
    from walkie_signal.namespace import facts_of  # noqa: PLC0415 - as above

    app: Any = attach(
        Probes(lambda: app.signaling.ready),
        path="/" + options.path.strip("/"),
        cors_origins=options.cors_origin,
        settings=settings,
        authenticate=verifier_of(options),
        backend=backend_of(options.redis_url or options.backend, "/", settings, workers),
    )
    app.transport.keep_headers(KEPT)
    webhook = webhook_of(options)
    if webhook is not None:
        webhook.listen(facts_of(app.signaling))
    server = uvicorn.Server(_config(options, settings, app))
    # For signals that come before uvicorn handles them, and for the one that uvicorn raises again at its end.
    for number in ending_signals():
        signal.signal(number, server.handle_exit)
    server.startup = _announced(server, app, options, started, beat)  # type: ignore[method-assign]
    server.shutdown = _drained(server, app, options.workers, webhook)  # type: ignore[method-assign]
    try:
        server.run(sockets=[listener])
    except SystemExit as ended:  # uvicorn has statuses of its own
        sys.exit(1 if ended.code else 0)


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a server, with SIGHUP of a closing terminal, unless ``nohup`` ignores it."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers


def _config(options: ServeOptions, settings: Settings, app: Any) -> Any:
    import uvicorn  # noqa: PLC0415

    return uvicorn.Config(
        believing(app, options.trusted_proxy),
        access_log=False,  # it would contain tokens from queries
        http=http_class(options.head_timeout),
        interface="asgi3",  # uvicorn would take an app whose call only returns an awaitable for one of ASGI 2
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
    """Return uvicorn's `startup` with our additions; it calls `started` once the server listens."""
    startup = server.startup
    beating: list[asyncio.Task[None]] = []  # asyncio keeps no reference to a task

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


def _drained(
    server: Any, app: Any, workers: int, webhook: Webhook | None
) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return uvicorn's `shutdown` with our additions.

    It tells the peers and closes their connections first; once all have left, the webhook tells of that.
    """
    shutdown = server.shutdown

    async def stop(sockets: list[socket.socket] | None = None) -> None:
        begun = time.monotonic()
        open_ones = [each.transport.get_extra_info("socket") for each in server.server_state.connections]
        app.signaling.drain()
        if workers > 1:
            # Polls of other workers' peers come here too, so all hang up at about the same time
            await asyncio.sleep(POLL_TIMEOUT)
        await app.transport.hang_up(POLL_TIMEOUT)
        asyncio.get_running_loop().call_later(HASTE, _cut, server, open_ones)
        await shutdown(sockets)
        if webhook is not None:
            await webhook.close(LAST_EVENTS)
        say_what_was_left_out()
        log.info("ended: connections closed in %.1f s: %d", time.monotonic() - begun, len(open_ones))

    return stop


def _cut(server: Any, open_ones: list[Any]) -> None:
    """Cut the remaining connections, whose clients read nothing, or only sent a part of what they announced.

    With asyncio's TLS, `abort` does nothing after two calls of `close`, which uvicorn makes: asyncio would wait
    30 s for the other side's close. So the socket underneath is shut down.
    """
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    for each in open_ones:
        with suppress(OSError, TypeError):  # it is closed, or it is uvloop's, which need not be shut down
            each.shutdown(socket.SHUT_RDWR)


def _spare_the_collector() -> None:
    """Exempt the objects of the start from garbage collection, and collect less often.

    Looking for cycles takes a sixth of the time of each connect, but the objects of a connection are seldom cycles:
    reference counting frees them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
