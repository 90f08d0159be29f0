"""Replaces a trusted proxy's address and scheme by those that the proxy reports.

uvicorn's middleware does this, but it compares addresses as they are written. So the addresses are made comparable
first: an IPv4 address mapped to IPv6 becomes the IPv4 address, and clients of a Unix socket, which have no address,
get the option's word for them.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from walkie_signal.core.addresses import plain_address
from walkie_signal.settings.forms import UNIX_SOCKET

log = logging.getLogger("walkie_signal")

MOST_TOLD = 10
"""Addresses that are named as proxies that are not believed."""


def believing(app: Any, trusted: Sequence[str]) -> Any:
    """Return an app that believes the trusted proxies; if there are none, it tells of those it does not believe."""
    if not trusted:
        return _Doubting(app)
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware  # noqa: PLC0415 - as in `serving`

    return _Named(ProxyHeadersMiddleware(_Unnamed(app), _comparable(trusted)))


def _comparable(trusted: Sequence[str]) -> list[str]:
    """Return the trusted addresses as uvicorn reads them: only ``*`` if it is there; networks by first address."""
    if "*" in trusted:
        return ["*"]
    return [
        str(ipaddress.ip_network(each, strict=False)) if "/" in each else plain_address(each)
        for each in trusted
    ]


class _Doubting:
    """Logs once for each address that it forwards for others, and that it is not believed: limits would hit all."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._told: set[str] = set()

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if len(self._told) < MOST_TOLD and scope["type"] != "lifespan":
            self._look(scope)
        answering: Awaitable[None] = self._app(scope, receive, send)
        return answering

    def _look(self, scope: Any) -> None:
        address = plain_address(scope["client"][0]) if scope.get("client") else UNIX_SOCKET
        if address not in self._told and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._told.add(address)
            log.warning(
                "X-Forwarded-For from %s is not believed, so all who come by it count as one address: if it is a "
                "proxy of yours, give --trusted-proxy %s",
                *(address, address),
            )


class _Named:
    """Gives every client an address that can be compared."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            client = scope.get("client")
            scope["client"] = (UNIX_SOCKET, 0) if client is None else (plain_address(client[0]), client[1])
        await self._app(scope, receive, send)


class _Unnamed:
    """Removes the name of clients of a Unix socket for which no proxy reported an address."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "lifespan" and scope["client"][0] == UNIX_SOCKET:
            scope["client"] = None
        answering: Awaitable[None] = self._app(scope, receive, send)
        return answering
