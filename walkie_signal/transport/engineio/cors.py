"""Which pages may connect, by polling and by WebSocket, and the headers that tell their browsers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.origins import Origins
from walkie_signal.transport.engineio import http
from walkie_signal.transport.engineio.http import Headers, RefusedError, Request

log = logging.getLogger("walkie_signal.transport")

LOGGED = 100
"""Characters of an origin in the log, because a client can send any text."""


def names_everybody(named: Any) -> bool:
    """Tell whether python-engineio's ``cors_allowed_origins`` lets every page in."""
    return named == "*" or (isinstance(named, (list, tuple, set, frozenset)) and [*named] == ["*"])


class Cors:
    """Checks the origins of requests.

    Args:
        named: python-engineio's ``cors_allowed_origins``: one or several origins; ``"*"`` for any; a function that
            decides; ``None`` for pages of the server's own host only; ``[]`` for no check and no headers.

    Attributes:
        anybody: Whether the page of any origin may connect.

    Raises:
        ValueError: An origin can never match.
    """

    def __init__(self, named: Any) -> None:
        self._log = BoundedLog(log)
        self._off = named == []
        self.anybody = self._off or names_everybody(named)
        self._told: Callable[..., bool] | None = named if callable(named) else None
        if not self.anybody and self._told is None:
            self._origins = Origins([named] if isinstance(named, str) else named or ())

    def check(self, request: Request) -> None:
        """Refuse a page that may not connect, with a line in the log. A client without an origin is not a page.

        Raises:
            RefusedError: The page may not connect.
        """
        if self.anybody or (origin := request.header(b"origin")) is None or self._allows(origin, request):
            return
        self._log.write(
            logging.WARNING,
            "origin refused",
            "origin refused: %s is not in the list, nor is it the requested host, %s",
            _quoted(origin),
            _quoted(request.header(b"host") or b""),
        )
        raise RefusedError(http.FORBIDDEN)

    def headers(self, request: Request, *, credentials: bool) -> Headers:
        """Return the headers of an answer for the browser of a page from another origin.

        A host's CORSMiddleware replaces a header that it finds, but it only finds lower case: otherwise browsers
        would get the header twice.
        """
        origin = request.header(b"origin")
        if self._off or origin is None:
            return []
        # "*", not the origin itself: with that, a middleware that adds credentials would grant them to every page
        plain = self.anybody and not credentials
        headers: Headers = [] if plain else [(b"vary", b"Origin")]
        if self.anybody or self._allows(origin, request):
            headers.append((b"access-control-allow-origin", b"*" if plain else origin))
            if request.scope.get("method") == "OPTIONS":
                headers.append((b"access-control-allow-methods", b"OPTIONS, GET, POST"))
            if (asked := request.header(b"access-control-request-headers")) is not None:
                headers.append((b"access-control-allow-headers", asked))
            if credentials:
                headers.append((b"access-control-allow-credentials", b"true"))
        return headers

    def _allows(self, origin: bytes, request: Request) -> bool:
        text = origin.decode("latin-1")
        if self._told is not None:
            return ask(self._told, text, http.Environ(request.scope))
        host = (request.header(b"host") or b"").decode("latin-1")
        return self._origins.allow(text, host, secure=request.scope.get("scheme") in ("https", "wss"))


def ask(function: Callable[..., bool], origin: str, environ: Mapping[str, Any]) -> bool:
    """Ask a function of the host as python-engineio does: with the environ, or without if it takes none."""
    try:
        return function(origin, environ)
    except TypeError:
        return function(origin)


def for_stock(named: Any) -> Any:
    """Return a value with which a stock server checks origins as ours does; by itself it compares exact texts."""
    if names_everybody(named):
        return "*"
    if named == [] or callable(named):
        return named
    origins = Origins([named] if isinstance(named, str) else named or ())

    def allow(origin: str | None, environ: Mapping[str, Any]) -> bool:
        secure = environ.get("wsgi.url_scheme") == "https"
        return origins.allow(origin or "", environ.get("HTTP_HOST", ""), secure=secure)

    return allow


def _quoted(value: bytes) -> str:
    text = value.decode("latin-1")
    return ascii(text[:LOGGED] + ("…" if len(text) > LOGGED else ""))
