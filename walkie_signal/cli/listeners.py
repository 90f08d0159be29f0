"""The socket that the command listens on, bound before anything else starts."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from contextlib import closing, suppress
from pathlib import Path

from walkie_signal.core.addresses import plain_address
from walkie_signal.settings import ServeOptions

UNIX_MODE = 0o666
"""The mode of a Unix socket, as in uvicorn: a proxy is another user. The folder decides who may reach it."""


def bind(options: ServeOptions) -> socket.socket:
    """Bind the address that the options name.

    Raises:
        OSError: It can't be bound.
    """
    return bind_unix(options.uds) if options.uds else bind_address(options.host, options.port)


def bind_address(host: str, port: int) -> socket.socket:
    """Bind an address of any family."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":  # on Windows, this option lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def bind_unix(path: str) -> socket.socket:
    """Bind a Unix socket; if there is an old one that nobody listens on, replace it."""
    place = Path(path)
    if place.exists() and stat.S_ISSOCK(place.stat().st_mode) and not _is_alive(path):
        place.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        place.chmod(UNIX_MODE)
    except OSError:
        listener.close()
        raise
    return listener


class SocketFile:
    """A context that removes the file of a bound Unix socket at its end, unless another server has replaced it.

    Args:
        path: The path of the file; empty if there is none.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._bound = _identity(self._path)

    def __enter__(self) -> None:
        """Do nothing: the socket is bound already."""

    def __exit__(self, *_: object) -> None:
        if self._path is not None and self._bound is not None and _identity(self._path) == self._bound:
            with suppress(OSError):  # we may not write in its folder any more, or it has just gone
                self._path.unlink()


def _identity(path: Path | None) -> tuple[int, ...] | None:
    """Distinguish a file from another of the same name: the inode number may be reused at once, the time is not."""
    try:
        found = path and path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns) if found else None


def _is_alive(path: str) -> bool:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        return probe.connect_ex(path) == 0


def is_open(listener: socket.socket) -> bool:
    """Tell whether other machines can reach a listener."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return not ipaddress.ip_address(plain_address(listener.getsockname()[0]).partition("%")[0]).is_loopback


def address_of(host: str, port: int) -> str:
    """Write an address as in a URL: an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(listener: socket.socket, scheme: str, path: str) -> str:
    """Return the URL where clients find the endpoint."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{listener.getsockname()} (path {path})"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{address_of(host, port)}{path}"
