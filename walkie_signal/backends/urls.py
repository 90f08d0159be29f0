"""Which backend a host has named."""

from __future__ import annotations

from walkie_signal.backends.base import Backend
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.settings import Settings, is_redis_url

SENTINEL = "+sentinel"
"""The end of the scheme, if a URL names sentinels."""

FORMS = (
    "this is not the URL of a Redis server, such as redis://user:password@host:6379/0, rediss://… for TLS, "
    f"unix://path or redis{SENTINEL}://host1,host2/service/0; write special characters in the password as in any "
    "URL, such as / as %2F"
)


class UnusableURL(ValueError):  # noqa: N818 - what it is, not a fault of ours
    """A URL asks for something that can't be done; the text says why, without any part of the password."""


def backend_of(named: Backend | str | None, namespace: str, settings: Settings) -> Backend:
    """Return the given backend, the backend of a URL, or for ``None`` this process's memory.

    Raises:
        UnusableURL: It is not a URL of a Redis server, or it has unknown options.
        ImportError: It is such a URL, but the extra ``redis`` is not installed.
    """
    if named is None:
        return MemoryBackend()
    if not isinstance(named, str):
        return named
    if not named or not is_redis_url(named):
        raise UnusableURL(f"backend: {FORMS}")
    from walkie_signal.backends.redis import RedisBackend  # noqa: PLC0415 - only if it is asked for

    return RedisBackend(named, namespace=namespace, prefix=settings.redis_prefix)
