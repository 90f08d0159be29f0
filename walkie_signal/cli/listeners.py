"""The socket that the command listens on, bound before anything else starts."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

from walkie_signal.settings import ServeOptions


def bind(options: ServeOptions) -> socket.socket:
    """Bind the address that the options name.

    Raises:
        OSError: It can't be bound.
    """
    return bind_unix(options.uds) if options.uds else bind_address(options.host, options.port)


def bind_address(host: str, port: int) -> socket.socket:
    """Bind an address, of whichever family it is."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":  # where it means that two servers may share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def bind_unix(path: str) -> socket.socket:
    """Bind a Unix socket, in the place of one that nobody listens on any more."""
    place = Path(path)
    if place.exists() and stat.S_ISSOCK(place.stat().st_mode) and not _is_alive(path):
        place.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    return listener


def _is_alive(path: str) -> bool:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        return probe.connect_ex(path) == 0


def is_open(listener: socket.socket) -> bool:
    """Tell whether other machines can reach a listener."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host: str = listener.getsockname()[0]
    return not (host.startswith("127.") or host == "::1")


def address_of(host: str, port: int) -> str:
    """Write an address as a URL has it, an IPv6 one in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(listener: socket.socket, scheme: str, path: str) -> str:
    """Return where clients find the endpoint."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{listener.getsockname()} (path {path})"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{address_of(host, port)}{path}"
