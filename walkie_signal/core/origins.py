"""Which web pages may connect, by the origin that browsers send (RFC 6454).

The origins that are allowed and the origin of a request are read by the same rules, so they match even if they
differ in case, in a default port, or in one slash at the end. An allowed origin that no browser can send is
refused at the start, because it would let nobody in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

LONGEST = 300
"""Characters of an origin: a host name has at most 253 (RFC 1035), and the rest is for the scheme and the port."""

DEFAULT_PORTS = {"http": 80, "https": 443}

OF_WEBSOCKETS = {"ws": "http", "wss": "https"}
"""The web's schemes for those that some native clients send (Starscream, which Socket.IO's Swift client uses)."""

_FORM = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]*\]|[^/?#@:\[\]]*)(?::([0-9]*))?")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


class Origin(NamedTuple):
    """An origin in the form that is compared; the origin ``null`` is a scheme of that name."""

    scheme: str
    host: str = ""
    port: int | None = None

    @property
    def is_of_the_web(self) -> bool:
        """Whether a web server sent the page; the other schemes belong to apps that contain their pages."""
        return self.scheme in DEFAULT_PORTS


def read_origin(text: str) -> Origin:
    """Read an origin as a browser sends it.

    Raises:
        ValueError: No browser sends it; the text says why, and what to write.
    """
    if text == "null":
        return Origin("null")
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    found = _FORM.fullmatch(text.lower() if text.endswith("://") else text.lower().removesuffix("/"))
    if found is None:
        raise ValueError(_fault_of(text))
    scheme, host, port = found[1], found[2], found[3]
    scheme = OF_WEBSOCKETS.get(scheme, scheme)
    if port == "" or int(port or 0) > 65_535:  # noqa: PLR2004 - the largest port
        raise ValueError(f"has no valid port: {port!r}")
    number = int(port) if port else None
    if scheme == "file":
        host = ""
    return Origin(scheme, _host(scheme, host), None if number == DEFAULT_PORTS.get(scheme) else number)


def _host(scheme: str, host: str) -> str:
    """Return a host as browsers write it.

    Raises:
        ValueError: No browser can send it.
    """
    if not host and scheme not in DEFAULT_PORTS:
        return host
    if not host.isascii():
        raise ValueError("has letters that browsers send in their ASCII form: write the host as xn--…")
    if host.startswith("["):
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    if _HOST.fullmatch(host) is None:
        raise ValueError(f"has no valid host: {host!r}")
    if host.rstrip(".").rpartition(".")[2].isdigit():  # browsers read such a name as an address
        return str(ipaddress.IPv4Address(host))
    return host


def _fault_of(text: str) -> str:
    """Return why a text is not an origin."""
    if not text:
        return "is empty: leave it out"
    if re.search(r"[\s,;]", text):
        return "is more than one word: give each origin by itself"
    scheme, separator, rest = text.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        host = re.sub(r"^\W+|[/?#].*", "", text.rpartition(":/")[2]) or "example.com"
        plain = text.startswith("http:") or host.startswith(("localhost", "127."))
        return f"has no scheme: write {'http' if plain else 'https'}://{host}"
    authority = re.split(r"[/?#]", rest)[0]
    without = f"{scheme}://{authority.rpartition('@')[2]}"
    if "@" in authority:
        return f"has user information, which no browser sends: write {without}"
    if authority != rest:
        return f"has a path or a query, which no browser sends: write {without}"
    return "has no valid host"


class Pattern(NamedTuple):
    """Every host below a domain, to any depth, but not the domain itself."""

    scheme: str
    suffix: str
    port: int | None

    def matches(self, origin: Origin) -> bool:
        """Tell whether an origin is on one of these hosts."""
        return (
            origin.scheme == self.scheme
            and origin.port == self.port
            and origin.host.endswith(self.suffix)
            and len(origin.host) > len(self.suffix)
        )


class Origins:
    """The origins whose pages may connect: those that are named, and the server's own host.

    Args:
        named: Each as a browser sends it, such as ``https://example.com``, ``null`` or ``capacitor://localhost``,
            or with ``*.`` before its host.

    Raises:
        ValueError: One can never match; the text says why, and what to write.
    """

    def __init__(self, named: Iterable[str]) -> None:
        self._exact: set[Origin] = set()
        self._patterns: list[Pattern] = []
        for each in named:
            self._add(each)

    def _add(self, text: str) -> None:
        try:
            self._read(text)
        except ValueError as fault:
            raise ValueError(f"{text!r} lets nobody in: it {_sentence(fault)}") from None

    def _read(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueError("is not a string")  # noqa: TRY004 - as for every other fault in a named origin
        if text == "*":
            raise ValueError("is every origin: leave the others out")
        scheme, separator, rest = text.partition("://*.")
        if "*" in (rest if separator else text):
            raise ValueError("has a * that is not at the beginning of its host, as in https://*.example.com")
        origin = read_origin(f"{scheme}://{rest}" if separator else text)
        if scheme.lower() in OF_WEBSOCKETS or text.lower().startswith(("ws:", "wss:")):
            raise ValueError(
                f"has the scheme of a WebSocket: write the scheme of the page, {origin.scheme}://"
            )
        if not separator:
            self._exact.add(origin)
        elif not origin.host or origin.host.startswith("[") or origin.host.replace(".", "").isdigit():
            raise ValueError("has a * that is not before a domain: write https://*.example.com")
        else:
            self._patterns.append(Pattern(origin.scheme, f".{origin.host}", origin.port))

    def allow(self, asking: str, host: str, *, secure: bool) -> bool:
        """Tell whether a page may connect.

        Args:
            asking: The request's ``Origin``.
            host: The request's ``Host``. A page can't choose what its browser writes there.
            secure: Whether the request is known to have come by TLS.
        """
        try:
            origin = read_origin(asking)
        except ValueError:
            return False
        if origin in self._exact or any(pattern.matches(origin) for pattern in self._patterns):
            return True
        return _is_own(origin, host, secure=secure)


def _is_own(origin: Origin, host: str, *, secure: bool) -> bool:
    """Tell whether a page is from the host that it asks.

    A page that came by TLS passes even if the request seems to have come without: a proxy may have removed the
    TLS, and such a page has proved where it is from. If the request came by TLS, a page without it is not
    trusted, because anybody on the way may have written the page.
    """
    if not origin.is_of_the_web or (secure and origin.scheme == "http"):
        return False
    try:
        return read_origin(f"{origin.scheme}://{host}") == origin
    except ValueError:
        return False


def _sentence(fault: ValueError) -> str:
    text = str(fault)
    return text if text.startswith(("is ", "has ", "stands ")) else f"has no valid host ({text})"
