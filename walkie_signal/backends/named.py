"""Which backend a host has named."""

from __future__ import annotations

from walkie_signal.backends.base import Backend
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.backends.urls import FORMS, UnusableURLError
from walkie_signal.settings.forms import is_redis_url
from walkie_signal.settings.store import StoreSettings


def backend_of(named: Backend | str | None, namespace: str, settings: StoreSettings) -> Backend:
    """Return the given backend, the backend of a URL, or for ``None`` this process's memory.

    Raises:
        UnusableURLError: It is not a URL of a Redis server, or it has unknown options.
        ImportError: It is such a URL, but the extra ``redis`` is not installed.
    """
    if named is None:
        return MemoryBackend()
    if not isinstance(named, str):
        return named
    if not named or not is_redis_url(named):
        raise UnusableURLError(f"backend: {FORMS}")
    from walkie_signal.backends.redis import RedisBackend  # noqa: PLC0415 - only if it is asked for

    return RedisBackend(named, namespace=namespace, prefix=settings.redis_prefix)
