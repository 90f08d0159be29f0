"""What the strings among the settings may look like."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit


def is_path(value: str) -> bool:
    """Tell whether a string is the path of an endpoint: something between slashes, and no query."""
    return re.fullmatch(r"/?[^/?#\s]+(/[^/?#\s]+)*/?", value) is not None


UNIX_SOCKET = "unix:"
"""All clients of the Unix socket, in a list of addresses; nginx uses the same word in ``set_real_ip_from``."""


def is_network(value: str) -> bool:
    """Tell whether a string is an IP address or network, ``unix:`` or ``*``."""
    try:
        return value in ("*", UNIX_SOCKET) or bool(ipaddress.ip_network(value, strict=False))
    except ValueError:
        return False


def is_prefix(value: str) -> bool:
    """Tell whether a string can begin the names of keys: printable ASCII without spaces and braces."""
    return re.fullmatch(r"[!-z|~]+", value) is not None


AUTO, MEMORY, MACHINE = "auto", "memory", "machine"
"""The names of backends that are no URL; a name may follow the last one, behind a colon."""


def is_backend(value: str) -> bool:
    """Tell whether a string names a backend."""
    if value in (AUTO, MEMORY, MACHINE):
        return True
    named = re.fullmatch(rf"{MACHINE}:([A-Za-z0-9._-]+|/[^\0]+)", value) is not None
    return named or (bool(value) and is_redis_url(value))


def is_redis_url(value: str) -> bool:
    """Tell whether a string is a URL of a Redis server, or empty."""
    return re.fullmatch(r"|(rediss?(\+sentinel)?|unix)://\S+", value) is not None


def is_web_url(value: str) -> bool:
    """Tell whether a string is the URL of a web server, without a fragment, or empty."""
    try:
        parts = urlsplit(value)
        complete = parts.hostname is not None and parts.port != 0
    except ValueError:  # the port is none, or the brackets of an address are not closed
        return False
    return value == "" or (
        complete and re.fullmatch(r"https?://[!-~]+", value) is not None and "#" not in value
    )
