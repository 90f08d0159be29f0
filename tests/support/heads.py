"""Heads of requests, of any size and shape."""

from __future__ import annotations

from urllib.parse import urlsplit

POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"

UPGRADE = (
    "Upgrade: websocket", "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
)  # fmt: skip


def head(target: str, *lines: str, method: str = "GET", size: int = 0, host: str = "localhost") -> bytes:
    """Write a head, filled up to `size` bytes by one more header."""
    text = "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, ""))
    if size:
        text += f"X-Long: {'x' * (size - len(text) - 12)}\r\n"
    return f"{text}\r\n".encode()


def host_of(address: tuple[str, int] | str) -> str:
    """Return the host that a request to an address names; the address is a pair, a URL, or a Unix socket's path."""
    if isinstance(address, str):
        return urlsplit(address).netloc or "localhost"
    return "{}:{}".format(*address)
