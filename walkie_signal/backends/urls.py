"""Which backend a host has named."""

from __future__ import annotations

from walkie_signal.backends.base import Backend
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.settings import Settings, is_redis_url


def backend_of(named: Backend | str | None, namespace: str, settings: Settings) -> Backend:
    """Return a backend: the one that is given, that of a URL, or for ``None`` this process's memory.

    Raises:
        ValueError: It is no URL of a Redis server.
        ImportError: It is one, and the extra ``redis`` is not installed.
    """
    if named is None:
        return MemoryBackend()
    if not isinstance(named, str):
        return named
    if not named or not is_redis_url(named):
        raise ValueError("backend: give a URL such as redis://host:6379/0, rediss://… or unix://…")
    from walkie_signal.backends.redis import RedisBackend  # noqa: PLC0415 - only where it is asked for

    return RedisBackend(named, namespace=namespace, prefix=settings.redis_prefix)
