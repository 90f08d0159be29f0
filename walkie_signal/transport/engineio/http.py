"""The HTTP side: reading requests, and answering them. Nothing here knows about sessions."""

from __future__ import annotations

import re
import zlib
from collections import UserDict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from walkie_signal.core.addresses import network_of, plain_address
from walkie_signal.wire.json import dumps

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PARTING = "walkie_signal.parting"
"""The type of an event that ASGI does not have: the worker that carries a request to this one is about to end."""

GZIP = 16 + zlib.MAX_WBITS
"""The window size that makes zlib write a gzip stream."""


class GoneError(Exception):
    """The client left before its request was over."""


class TooLargeError(Exception):
    """The body of a request is over the limit."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than 200, with the error codes of the JavaScript server."""

    status: int
    code: int
    message: str


class RefusedError(Exception):
    """A request is answered with a `Refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(slots=True)
class Response:
    """An answer to an HTTP request."""

    body: bytes
    status: int = 200
    content_type: bytes = b"text/plain; charset=UTF-8"
    headers: Headers = field(default_factory=list)


UNKNOWN_TRANSPORT = Refusal(400, 0, "Transport unknown")
UNKNOWN_SID = Refusal(400, 1, "Session ID unknown")
BAD_METHOD = Refusal(400, 2, "Bad handshake method")
BAD_REQUEST = Refusal(400, 3, "Bad request")
FORBIDDEN = Refusal(403, 4, "Forbidden")
UNSUPPORTED_VERSION = Refusal(400, 5, "Unsupported protocol version")
BODY_TOO_LARGE = Refusal(413, 3, "Payload too large")
HEAD_TOO_LARGE = Refusal(431, 3, "Request header fields too large")

TOO_MANY = Refusal(429, 3, "Too many connections from this address")
TOO_MANY_HALF_OPEN = Refusal(503, 3, "Too many connections that have joined nothing")

HEAD_BYTES = 1 << 16
"""Most bytes of the headers of a handshake, which a session may keep for as long as it lives.

Our own HTTP class takes no longer heads either, but uvicorn's with httptools takes any.
"""


def refused(refusal: Refusal, *, bare: bool = False) -> Response:
    """Return a refusal as the JavaScript server writes it, or a `bare` one, which has no body.

    python-engineio needs that: it closes its HTTP session before it reads the body, and if that has not come by
    then, a RuntimeError ends its reconnecting.
    """
    if bare:
        return Response(b"", refusal.status)
    text = dumps({"code": refusal.code, "message": refusal.message})
    return Response(text.encode(), refusal.status, b"application/json")


PYTHON_TIME = re.compile(r"\d{10}\.\d+")
"""The ``t`` in each query of python-engineio's client, whatever its user agent: ``time.time()``. Others send a
text in base 36 or 64."""


class Request:
    """One ASGI request, HTTP or WebSocket."""

    __slots__ = ("query", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        query = scope.get("query_string", b"").decode("latin-1")
        self.query: dict[str, str] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            self.query.setdefault(key, value)

    @property
    def from_python(self) -> bool:
        """Whether python-engineio's client has sent it."""
        return PYTHON_TIME.fullmatch(self.query.get("t", "")) is not None

    @property
    def head_bytes(self) -> int:
        """How many bytes its headers have."""
        return sum(len(key) + len(value) for key, value in self.scope["headers"])

    @property
    def address(self) -> str:
        """The client's address, for the log."""
        client = self.scope.get("client")
        return plain_address(client[0]) if client else "a Unix socket"

    @property
    def network(self) -> str | None:
        """What counts as the client's address; ``None`` if it is not known."""
        client = self.scope.get("client")
        return network_of(plain_address(client[0])) if client else None

    def header(self, name: bytes) -> bytes | None:
        """Return the first header with a name, which must be in lower case."""
        for key, value in self.scope["headers"]:
            if key == name or key.lower() == name:
                found: bytes = value
                return found
        return None

    async def body(self, limit: int) -> bytes:
        """Read the body, at most `limit` bytes of it.

        Raises:
            TooLargeError: The body is longer, or its Content-Length is; the rest is left unread.
            GoneError: The client left.
        """
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length[:20]) > limit:
            raise TooLargeError
        body = b""
        more = True
        while more:
            event = await self.receive()
            if event["type"] == PARTING:  # the rest may still come in time
                continue
            if event["type"] != "http.request":
                raise GoneError
            body += event.get("body", b"")
            more = event.get("more_body", False)
            if len(body) > limit:
                raise TooLargeError
        return body

    async def departure(self) -> bool:
        """Wait until the client has left; returns false if it has to ask again, by another worker."""
        while (kind := (await self.receive())["type"]) != "http.disconnect":
            if kind == PARTING:
                return False
        return True


class Environ(UserDict):  # type: ignore[type-arg]  # strings to anything
    """The environ that python-socketio gives to connect handlers: a request in WSGI's form, built at first use.

    It is kept for each connection, and seldom used. ``REMOTE_ADDR`` is the client's address; python-engineio has
    the constant 127.0.0.1 there.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __getitem__(self, key: str) -> Any:
        return self.scope if key == "asgi.scope" else self.data[key]

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]  # UserDict's is set when it is made
        """The keys and their values."""
        scope = self.scope
        query = scope.get("query_string", b"").decode("latin-1")
        client = scope.get("client") or ("", 0)
        server = scope.get("server") or ("asgi", 0)
        environ: dict[str, Any] = {
            "wsgi.url_scheme": "https" if scope.get("scheme") in ("https", "wss") else "http",
            "wsgi.version": (1, 0),
            "wsgi.async": True,
            "SERVER_SOFTWARE": "asgi",
            "REQUEST_METHOD": scope.get("method", "GET"),
            "PATH_INFO": scope["path"],
            "QUERY_STRING": query,
            "RAW_URI": f"{scope['path']}?{query}" if query else scope["path"],
            "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
            "REMOTE_ADDR": plain_address(client[0]),
            "REMOTE_PORT": str(client[1]),
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1] or 0),
            "asgi.scope": scope,
        }
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode("latin-1").upper().replace("-", "_")
            value = raw_value.decode("utf-8", "replace")
            key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def __copy__(self) -> Environ:
        copied = Environ(self.scope)
        copied.data = dict(self.data)
        return copied


def lower(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return headers in ASGI's form, with names in lower case.

    A host's CORSMiddleware replaces a header that it finds, but it only finds lower case: otherwise browsers would
    get the header twice.
    """
    return [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in headers]


def compressed(response: Response, accepted: bytes | None) -> Response:
    """Compress a body if the client accepts that."""
    codings = [part.split(b";")[0].strip() for part in (accepted or b"").split(b",")]
    if b"gzip" in codings:
        packer = zlib.compressobj(6, zlib.DEFLATED, GZIP)
        response.body = packer.compress(response.body) + packer.flush()
        response.headers.append((b"content-encoding", b"gzip"))
    return response


async def answer(send: Send, response: Response) -> None:
    """Send an answer in one piece and with its length, so that no proxy has to read chunks."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        (b"cache-control", b"no-store"),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def accept_websocket(request: Request, send: Send) -> None:
    """Accept a WebSocket, with the first subprotocol that the client asks for, as the JavaScript server does.

    If none of them is confirmed, a client has to fail the connection (RFC 6455, 4.1), as browsers do.
    """
    asked = request.scope.get("subprotocols")
    await send({"type": "websocket.accept", "subprotocol": asked[0] if asked else None})


async def refuse_websocket(send: Send) -> None:
    """Refuse a WebSocket before it is accepted; servers turn this into a 403.

    For an answer of our own (``websocket.http.response``), uvicorn would log an error each time.
    """
    await send({"type": "websocket.close", "code": 1008})
