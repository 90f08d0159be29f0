"""What a connection shows to prove who it is, read from python-socketio's environ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from walkie_signal.core.identity import Credentials


def read_credentials(environ: Mapping[str, Any], auth: object) -> Credentials:
    """Read the environ of a handshake, and the ``auth`` of Socket.IO's CONNECT, whatever the client put there."""
    headers = _headers(environ)
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    auth = auth if isinstance(auth, dict) else {}
    return Credentials(
        token=_text(auth.get("token")) or _text(query.get("token")) or _bearer(headers),
        auth=auth,
        headers=headers,
        query=query,
        client=_client(environ),
    )


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if name in environ:
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return _text(token.strip()) if scheme.lower() == "bearer" else None


def _client(environ: Mapping[str, Any]) -> str | None:
    """Return the address; under ASGI python-engineio's own ``REMOTE_ADDR`` is a constant."""
    scope = environ.get("asgi.scope")
    if scope is None:
        return environ.get("REMOTE_ADDR")
    client = scope.get("client")
    return client[0] if client else None
