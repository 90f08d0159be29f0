"""Protocol classes for uvicorn, which know nothing of signaling.

    uvicorn app:app --ws walkie_signal.direct:DirectProtocol --http walkie_signal.direct:HttpProtocol

The one rule for this folder: of walkie-signal it imports nothing but the bound on log lines. Any app can be served
by these classes, and each works without the other.

protocol    a WebSocket, with uvicorn's own class behind it    http       a request, and bounds for its head
frames      what comes and goes on it; rules: RFC 6455         bounds     of a head, in bytes and in time
handshake   the common handshake, read quickly                 draining   of an answer that nobody takes
inbox       what waits for an ASGI app                         picows     what is used of picows
closing     of a WebSocket, which has to end

Some objects here stand in for those of a library, because a measurement paid for it. Each has only what the library
uses of the original, so look here first when one of them is upgraded:

`handshake.Opening`   for `Request` and `Headers` of websockets 17: a handshake in a quarter of the time;
                      `handshake.Acceptance` for `Response` and its `Headers`
`frames.Frames`       for its `ServerProtocol`, after the accept: less than half of the CPU of a signal
`inbox.Gate`          for `asyncio.Event`, and `inbox.Inbox` for `asyncio.Queue`, as uvicorn 0.54 uses them: 3 KiB
                      less for each idle connection
`closing.Transport`  for the transport of asyncio and uvloop: it copies the pieces that picows uses again, and
                      ends a close that the other side does not take
`picows._Nobody`      for the transport of picows' parser, `_Answer` for its answer to a handshake: a frame that is
                      wrong is told after the one before it
`picows._Log`         for its logger: no line for each connection
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
