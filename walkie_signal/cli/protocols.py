"""What uvicorn speaks with: the protocol classes, and how patient a server is before the first request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def http_class(head_timeout: float) -> Any:
    """Return our HTTP protocol class, with so many seconds for the head of a request."""
    from walkie_signal.transport.direct_http import HttpProtocol  # noqa: PLC0415 - so that --help is quick

    return type(HttpProtocol.__name__, (HttpProtocol,), {"head_timeout": head_timeout})


def websocket_class() -> Any:
    """Return our WebSocket protocol class, or uvicorn's own choice where the extra `fast` is not installed."""
    try:
        from walkie_signal.transport.direct import DirectProtocol  # noqa: PLC0415 - likewise
    except ImportError:
        return "auto"
    return DirectProtocol


def let_websockets_read_long_heads() -> None:
    """Let a request for a WebSocket be as long as one that polls; said before websockets is imported.

    Otherwise it takes 8 KiB a line and 128 headers. What uvicorn hands to it our HTTP protocol class has bounded.
    """
    from walkie_signal.transport.direct_http import HEAD_BYTES, HEAD_LINES  # noqa: PLC0415 - likewise

    os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", str(HEAD_BYTES))
    os.environ.setdefault("WEBSOCKETS_MAX_NUM_HEADERS", str(HEAD_LINES))


@contextmanager
def handshakes_within(seconds: float) -> Iterator[None]:
    """Give TLS handshakes so many seconds, on servers that the running loop creates meanwhile; asyncio gives 60.

    uvicorn has no option for it.
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
