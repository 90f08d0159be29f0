"""The protocol classes that uvicorn uses, and how long a server waits for the first request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def http_class(head_timeout: float) -> Any:
    """Return our HTTP protocol class; `head_timeout` is the seconds that the head of a request may take."""
    from walkie_signal.direct.http import HttpProtocol  # noqa: PLC0415 - so that --help is quick

    return type(HttpProtocol.__name__, (HttpProtocol,), {"head_timeout": head_timeout})


def websocket_class() -> Any:
    """Return our WebSocket protocol class, or uvicorn's own choice if the extra `fast` is not installed."""
    try:
        from walkie_signal.direct.protocol import DirectProtocol  # noqa: PLC0415 - as above
    except ImportError:
        return "auto"
    return DirectProtocol


def let_websockets_read_long_heads() -> None:
    """Let the head of a WebSocket request be as long as that of a poll; call it before websockets is imported.

    Without this, websockets takes 8 KiB a line and 128 headers. Our HTTP protocol class bounds a head before
    uvicorn hands it to websockets.
    """
    from walkie_signal.direct.bounds import HEAD_BYTES, HEAD_LINES  # noqa: PLC0415 - as above

    os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", str(HEAD_BYTES))
    os.environ.setdefault("WEBSOCKETS_MAX_NUM_HEADERS", str(HEAD_LINES))


@contextmanager
def handshakes_within(seconds: float) -> Iterator[None]:
    """Limit TLS handshakes to `seconds`, on servers that the running loop creates meanwhile; asyncio allows 60.

    uvicorn has no option for this.
    """
    loop: Any = asyncio.get_running_loop()
    create_server = loop.create_server

    def create(*arguments: Any, ssl: Any = None, **options: Any) -> Any:
        if ssl is not None:
            options["ssl_handshake_timeout"] = seconds
        return create_server(*arguments, ssl=ssl, **options)

    loop.create_server = create
    try:
        yield
    finally:
        del loop.create_server
