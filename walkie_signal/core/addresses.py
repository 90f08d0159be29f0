"""Network addresses, in the form in which they are compared and shown."""

from __future__ import annotations

import ipaddress


def plain_address(text: str) -> str:
    """Return an address, one of IPv4 as itself where an IPv6 socket has seen it.

    A socket that listens on ``::`` sees who comes by IPv4 as ``::ffff:192.0.2.7`` (RFC 4291, 2.5.5.2).
    """
    if not text.lower().startswith("::ffff:"):
        return text
    try:
        mapped = ipaddress.IPv6Address(text).ipv4_mapped
    except ValueError:
        return text
    return text if mapped is None else str(mapped)
