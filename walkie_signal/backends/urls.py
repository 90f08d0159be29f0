"""What a URL of a Redis server may look like."""

from __future__ import annotations

SENTINEL = "+sentinel"
"""The end of the scheme, if a URL names sentinels."""

FORMS = (
    "this is not the URL of a Redis server, such as redis://user:password@host:6379/0, rediss://… for TLS, "
    f"unix://path or redis{SENTINEL}://host1,host2/service/0; write special characters in the password as in any "
    "URL, such as / as %2F"
)


class UnusableURLError(ValueError):
    """A URL asks for something that can't be done; the text says why, without any part of the password."""
