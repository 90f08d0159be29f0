"""Reads the opening handshake as nearly every client sends it, in a quarter of the time that websockets takes.

For any other request, right or wrong, `opening` returns `None`, and websockets reads and answers it. So nothing is
refused here, and websockets would accept all that is accepted here (RFC 6455, 4.2.1), unless it is too long for
websockets.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1

from websockets.datastructures import Headers

REQUEST = re.compile(
    rb"GET (?P<path>/[!-~]{0,65000}) HTTP/1\.1\r\n"
    rb"(?P<headers>(?:[a-z0-9_-]{1,100}: [ -~]{0,65000}\r\n){4,256})\r\n"
)
"""A request as uvicorn's HTTP protocols pass it on: names in lower case, nothing folded. The bounds are those of
`bounds`; websockets refuses a line over 8 KiB, and more than 128 headers."""

KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""Sixteen bytes in base64."""

UPGRADE = re.compile(r"(?:keep-alive, ?)?upgrade", re.IGNORECASE)
ONCE = ("upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "host", "origin")
"""Headers that may only occur once, because websockets refuses more or only reads one."""

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Opening:
    """A request that replaces both websockets' `Request` and its `Headers`."""

    __slots__ = ("headers", "pairs", "path")

    def __init__(self, path: str, pairs: list[tuple[str, str]]) -> None:
        self.path = path
        self.pairs = pairs
        self.headers = self

    def raw_items(self) -> list[tuple[str, str]]:
        """Return all headers, in order."""
        return self.pairs

    def get_all(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for key, value in self.pairs if key == name.lower()]


class Acceptance:
    """A 101 that replaces both websockets' `Response` and its `Headers`, to which uvicorn adds some."""

    __slots__ = ("_further", "_key", "headers")

    status_code = 101
    reason_phrase = "Switching Protocols"
    body = b""

    def __init__(self, key: str) -> None:
        self._key = key
        self._further: list[tuple[str, str]] = []
        self.headers = self

    def __delitem__(self, name: str) -> None:
        """Do nothing: there is no date."""

    def update(self, headers: list[tuple[str, str]]) -> None:
        """Add headers.

        Raises:
            InvalidHeaderValue: A value would end its line.
        """
        self._further += Headers(headers).raw_items()

    def raw_items(self) -> list[tuple[str, str]]:
        """Return all headers, in order."""
        accept = b64encode(sha1(self._key.encode() + GUID, usedforsecurity=False).digest()).decode()
        first = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        return [*first, *self._further]

    def serialize(self) -> bytes:
        """Return what is sent."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.raw_items()])
        return f"HTTP/1.1 {self.status_code} {self.reason_phrase}\r\n{lines}\r\n".encode("iso-8859-1")


def opening(data: bytes) -> tuple[Opening, Acceptance] | None:
    """Return the request and the 101 to answer it with, or `None` if websockets has to read it."""
    parsed = REQUEST.fullmatch(data)
    if parsed is None:
        return None
    pairs = []
    for line in parsed["headers"].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        pairs.append((name, value.strip(" ")))
    named = dict(pairs)
    if len(named) != len(pairs) and any(sum(name == once for name, _ in pairs) > 1 for once in ONCE):
        return None
    if not _is_plain(named):
        return None
    return Opening(parsed["path"].decode("ascii"), pairs), Acceptance(named["sec-websocket-key"])


def _is_plain(named: dict[str, str]) -> bool:
    return (
        "host" in named
        and "sec-websocket-protocol" not in named
        and "content-length" not in named
        and "transfer-encoding" not in named
        and named.get("sec-websocket-version") == "13"
        and named.get("upgrade", "").lower() == "websocket"
        and UPGRADE.fullmatch(named.get("connection", "")) is not None
        and KEY.fullmatch(named.get("sec-websocket-key", "")) is not None
    )
