"""The proof of identity that a connection offers, read from python-socketio's environ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from walkie_signal.core.addresses import plain_address
from walkie_signal.core.identity import Credentials


def read_credentials(
    environ: Mapping[str, Any], auth: object, *, cookies: bool, is_suspect: bool
) -> Credentials:
    """Read the environ of a handshake and the ``auth`` of Socket.IO's CONNECT, which may be anything.

    Args:
        environ: The environ.
        auth: The ``auth``.
        cookies: Whether the headers may have cookies; a browser sends them for whichever page asks.
        is_suspect: See `Credentials`.
    """
    scope = environ["asgi.scope"]  # the rest of the environ is only made if somebody asks for it
    headers = _headers(scope["headers"])
    if not cookies:
        headers.pop("cookie", None)
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
    auth = auth if isinstance(auth, dict) else {}
    return Credentials(
        token=_text(auth.get("token")) or _text(query.get("token")) or _bearer(headers),
        auth=auth,
        headers=headers,
        query=query,
        client=address_of(environ),
        is_suspect=is_suspect,
    )


def address_of(environ: Mapping[str, Any]) -> str | None:
    """Return the client's address; python-engineio's own ``REMOTE_ADDR`` is a constant under ASGI."""
    client = environ["asgi.scope"].get("client")
    return plain_address(client[0]) if client else None


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return _text(token.strip()) if scheme.lower() == "bearer" else None
