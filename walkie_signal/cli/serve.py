"""``walkie-signal serve``: signaling as a server of its own."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import click

from walkie_signal import __version__
from walkie_signal.cli.listeners import address_of, bind, is_open, url_of
from walkie_signal.cli.logs import set_up_logs
from walkie_signal.cli.options import group_of, options_of
from walkie_signal.settings import ServeOptions, Settings

log = logging.getLogger("walkie_signal")

POLL_TIMEOUT = 0.5
"""Seconds in which the peers that poll may fetch that the server is about to close."""

SHUTDOWN_TIMEOUT = 5
"""Seconds that connections have to end once the server is told to."""


@click.command()
@options_of(ServeOptions, Settings)
def serve(**values: Any) -> None:
    """Run a signaling server.

    Each option can also be given in the environment, by the name that stands with it.
    """
    options: ServeOptions = group_of(ServeOptions, values)
    settings: Settings = group_of(Settings, values)
    _check(options)
    set_up_logs(options.log_level, options.log_format)
    try:
        listener = bind(options)
    except OSError as error:
        where = options.uds or address_of(options.host, options.port)
        raise click.ClickException(f"can't listen on {where}: {error.strerror or error}") from None
    with listener:
        _run(options, settings, listener)


def _check(options: ServeOptions) -> None:
    """Refuse what fits no other option, before anything starts."""
    if "*" in options.cors_origin and len(options.cors_origin) > 1:
        raise click.UsageError("--cors-origin: * stands alone")
    if bool(options.ssl_certfile) != bool(options.ssl_keyfile):
        raise click.UsageError("--ssl-certfile and --ssl-keyfile go together")
    if options.ssl_certfile:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                options.ssl_certfile, options.ssl_keyfile
            )
        except (OSError, ssl.SSLError) as error:
            raise click.UsageError(f"--ssl-certfile, --ssl-keyfile: {error}") from None


def _run(options: ServeOptions, settings: Settings, listener: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415 - only here, so that --help is quick

    from walkie_signal.asgi import attach  # noqa: PLC0415 - likewise

    path = "/" + options.path.strip("/")
    app = attach(_nothing_here, path=path, cors_origins=options.cors_origin, settings=settings)
    server = uvicorn.Server(_config(options, settings, app))
    if is_open(listener):
        log.warning(
            "open to other machines, with no authentication: whoever reaches this port may join any room"
        )
    # uvicorn raises the signal that ended it once more when it is done; this one takes no notice.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    scheme = "https" if options.ssl_certfile else "http"
    server.startup = _announced(server, url_of(listener, scheme, path + "/"))  # type: ignore[method-assign]
    server.shutdown = _drained(server, app)  # type: ignore[method-assign]
    server.run(sockets=[listener])


def _config(options: ServeOptions, settings: Settings, app: Any) -> Any:
    import uvicorn  # noqa: PLC0415

    return uvicorn.Config(
        app,
        access_log=False,  # it would hold tokens that came in a query
        log_config=None,
        proxy_headers=bool(options.trusted_proxy),
        forwarded_allow_ips=list(options.trusted_proxy),
        server_header=False,
        ssl_certfile=options.ssl_certfile or None,
        ssl_keyfile=options.ssl_keyfile or None,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        ws=_websocket_class(),
        ws_max_size=settings.max_http_buffer_size,
        ws_per_message_deflate=False,  # it doubles the memory of each connection
        ws_ping_interval=None,  # Engine.IO has pings of its own
    )


def _websocket_class() -> Any:
    """Return our protocol class for uvicorn, or its own choice where the extra `fast` is not installed."""
    try:
        from walkie_signal.transport.direct import DirectProtocol  # noqa: PLC0415
    except ImportError:
        return "auto"
    return DirectProtocol


def _announced(server: Any, url: str) -> Callable[..., Coroutine[Any, Any, None]]:
    """Say where the server listens, once it does."""
    startup = server.startup

    async def start(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        _spare_the_collector()
        protocol = getattr(server.config.ws_protocol_class, "__name__", "no WebSocket")
        log.info(
            "walkie-signal %s listening on %s (uvicorn, %s; rooms in memory)", __version__, url, protocol
        )

    return start


def _drained(server: Any, app: Any) -> Callable[..., Coroutine[Any, Any, None]]:
    """Tell the peers that the server ends, before uvicorn closes their connections."""
    shutdown = server.shutdown

    async def stop(sockets: list[socket.socket] | None = None) -> None:
        app.signaling.drain()
        if hasattr(app.sio, "link"):  # no stock server
            await app.sio.eio.polled(POLL_TIMEOUT)
        await shutdown(sockets)

    return stop


def _spare_the_collector() -> None:
    """Leave what the start has made alone, and look for cycles less often: looking is a sixth of each connect.

    What a connection leaves behind is freed by its count of references, seldom as a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def _nothing_here(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - an ASGI app
    """Answer every path but ours."""
    if scope["type"] == "http":
        await send(
            {"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "http.response.body", "body": b"Not Found\n"})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        raise NotImplementedError(scope["type"])
