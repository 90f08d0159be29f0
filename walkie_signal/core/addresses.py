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


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address itself, and of an IPv6 address its network of 64 bits.

    Whoever has an IPv6 address mostly has all of that network (RFC 6177).
    """
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
