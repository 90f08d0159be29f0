"""The address and the scheme that a trusted proxy reports, in the place of its own.

uvicorn's middleware does it, for addresses that it compares as they are written. What it gets here is made
comparable first: an IPv4 address that an IPv6 socket has seen is itself, and whoever comes by a Unix socket, where
there is no address, is called as the option calls it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Sequence
from typing import Any

from walkie_signal.core.addresses import plain_address
from walkie_signal.settings import UNIX_SOCKET


def believing(app: Any, trusted: Sequence[str]) -> Any:
    """Return an app that believes the proxies that are trusted; without any, the app itself."""
    if not trusted:
        return app
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware  # noqa: PLC0415 - as in `serving`

    return _Named(ProxyHeadersMiddleware(_Unnamed(app), _comparable(trusted)))


def _comparable(trusted: Sequence[str]) -> list[str]:
    """Return the trusted ones as uvicorn knows them: ``*`` by itself, a network by its first address."""
    if "*" in trusted:
        return ["*"]
    return [
        str(ipaddress.ip_network(each, strict=False)) if "/" in each else plain_address(each)
        for each in trusted
    ]


class _Named:
    """Gives whoever connects an address that can be compared."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            client = scope.get("client")
            scope["client"] = (UNIX_SOCKET, 0) if client is None else (plain_address(client[0]), client[1])
        await self._app(scope, receive, send)


class _Unnamed:
    """Takes the name away from who came by a Unix socket and has no other."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "lifespan" and scope["client"][0] == UNIX_SOCKET:
            scope["client"] = None
        answering: Awaitable[None] = self._app(scope, receive, send)
        return answering
