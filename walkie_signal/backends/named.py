"""Which backend a host has named."""

from __future__ import annotations

from walkie_signal.backends.base import Backend
from walkie_signal.backends.machine import MachineBackend
from walkie_signal.backends.machine.groups import Group, NamedGroup, WorkerGroup
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.backends.urls import FORMS, UnusableURLError
from walkie_signal.settings.forms import AUTO, MACHINE, MEMORY, is_backend
from walkie_signal.settings.store import StoreSettings


def backend_of(
    named: Backend | str | None, namespace: str, settings: StoreSettings, workers: str | None = None
) -> Backend:
    """Return the given backend, or the one that a text names; ``None`` names the same as ``auto``.

    Args:
        named: The backend, or its name.
        namespace: The Socket.IO namespace that its rooms belong to.
        settings: What its part of a store is called.
        workers: What the workers of this command have in common; ``None`` to find out whether there are others.

    Raises:
        UnusableURLError: The text is no name of a backend, or a URL with unknown options.
        ImportError: It is a URL of Redis, but the extra ``redis`` is not installed.
    """
    if named is not None and not isinstance(named, str):
        return named
    prefix = settings.redis_prefix
    if named == MEMORY:
        return MemoryBackend()
    group: Group
    if named in (None, AUTO, MACHINE):
        group = WorkerGroup(workers, needed=named == MACHINE)
        return MachineBackend(group, namespace=namespace, prefix=prefix)
    if not named or not is_backend(named):
        raise UnusableURLError(f"backend: it is neither auto, memory, machine nor machine:name, and {FORMS}")
    kind, _, name = named.partition(":")
    if kind == MACHINE:
        return MachineBackend(NamedGroup(name), namespace=namespace, prefix=prefix)
    from walkie_signal.backends.redis import RedisBackend  # noqa: PLC0415 - only if it is asked for

    return RedisBackend(named, namespace=namespace, prefix=prefix)
