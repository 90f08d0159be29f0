"""Where requests go, read from a URL."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Receiver:
    """The server of a URL, and what it is asked for.

    Attributes:
        secure: Whether it is reached by TLS.
        host: Its name or address.
        port: Its port; ``None`` for the usual one.
        target: The path and the query, which may hold a secret.
        authorization: The header for the user and the password before the host; ``None`` if there is none.
    """

    secure: bool
    host: str
    port: int | None
    target: str = field(repr=False)
    authorization: str | None = field(repr=False)

    @classmethod
    def of_url(cls, url: str) -> Receiver:
        """Read a URL that `walkie_signal.settings.forms.is_web_url` allows."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme == "https", parts.hostname or "", parts.port, target, _basic(parts.netloc))

    def __str__(self) -> str:
        """Return what a log may show."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def _basic(place: str) -> str | None:
    """Return the header for what stands before a host (RFC 7617)."""
    before, at, _ = place.rpartition("@")
    user, _, password = before.partition(":")
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode() if at else None
