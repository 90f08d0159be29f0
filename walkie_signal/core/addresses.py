"""Network addresses, in the form in which they are compared and shown."""

from __future__ import annotations

import ipaddress


def plain_address(text: str) -> str:
    """Return an address; if it is an IPv4 address mapped to IPv6, return the IPv4 address.

    A socket that listens on ``::`` sees an IPv4 client as ``::ffff:192.0.2.7`` (RFC 4291, 2.5.5.2).
    """
    if not text.lower().startswith("::ffff:"):
        return text
    try:
        mapped = ipaddress.IPv6Address(text).ipv4_mapped
    except ValueError:
        return text
    return text if mapped is None else str(mapped)
