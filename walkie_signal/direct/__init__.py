"""Protocol classes for uvicorn, which know nothing of signaling.

    uvicorn app:app --ws walkie_signal.direct:DirectProtocol --http walkie_signal.direct:HttpProtocol

The one rule for this folder: of walkie-signal it imports nothing but the bound on log lines. Any app can be served
by these classes, and each works without the other.

protocol    a WebSocket, with uvicorn's own class behind it    http       a request, and bounds for its head
frames      what comes and goes on it; rules: RFC 6455         bounds     of a head, in bytes and in time
handshake   the common handshake, read quickly                 draining   of an answer that nobody takes
inbox       what waits for an ASGI app                         picows     what is used of picows
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "DirectProtocol": "walkie_signal.direct.protocol",
    "HttpProtocol": "walkie_signal.direct.http",
}


def __getattr__(name: str) -> Any:
    """Import a class when it is asked for: either may lack what it needs while the other works."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
