"""Which processes share rooms on a machine: the workers of one supervisor, and those that give the same name.

Rooms that are shared by accident are a leak between tenants, so nothing but a known supervisor makes a group by
itself: no other child process, no fork by hand, and no two commands of one shell, of systemd, or of one test run.
"""

from __future__ import annotations

import logging
import sys
import weakref
from pathlib import Path
from typing import NamedTuple, Protocol

from walkie_signal.backends.machine.folder import GroupFolder, open_folder
from walkie_signal.runtime_folder import UnusableError, folders, shared_folder
from walkie_signal.supervisors import key_of_this_worker

log = logging.getLogger("walkie_signal")


class Service(NamedTuple):
    """What the members of a group have in common besides the group, for only then do they share rooms.

    Attributes:
        namespace: The Socket.IO namespace.
        prefix: The prefix of the names in a store.
        path: The path of the endpoint; empty where a host has mounted it by itself.
    """

    namespace: str
    prefix: str
    path: str = ""

    def at(self, path: str) -> Service:
        """Return the same service at a path."""
        return self._replace(path=path)


class Group(Protocol):
    """A group of processes."""

    @property
    def name(self) -> str:
        """The name of the group in the command's output and in the log."""

    def forms(self) -> bool:
        """Tell whether this process belongs to the group, as far as can be told without a start."""

    def expect(self, service: Service) -> bool:
        """Record the service that a folder will be asked for; returns whether the group depends on its path."""

    def folder(self, service: Service) -> GroupFolder | None:
        """Return the folder of the group for a service; ``None`` if this process belongs to none.

        Raises:
            UnusableError: There is no folder for it; the text says why.
        """


class NamedGroup:
    """The processes that give the same name, whoever started them.

    Args:
        name: A word; or the absolute path of a folder, where they have no folder for temporary files in common.
    """

    def __init__(self, name: str) -> None:
        self.name = f"machine:{name}"
        self._name = name

    def forms(self) -> bool:
        """Return true: a name is enough."""
        return True

    def expect(self, service: Service) -> bool:  # noqa: ARG002 - as the protocol
        """Return false: whatever the path, services that give the same name are one."""
        return False

    def folder(self, service: Service) -> GroupFolder:
        """Return the folder of the group for a service. The path of the endpoint may differ."""
        base = Path(self._name)
        where = base if base.is_absolute() else shared_folder()
        return open_folder(where, f"{self._name}\0{service.namespace}\0{service.prefix}")


class WorkerGroup:
    """The workers of one supervisor.

    Args:
        key: What the supervisor has given its workers; ``None`` to find out whose worker this process is.
        needed: Whether a process that is nobody's worker must not start.
    """

    name = "machine"

    def __init__(self, key: str | None = None, *, needed: bool = False) -> None:
        self._key = key
        self._needed = needed
        self._site = _site()
        self._service = Service("", "")
        _MADE.add(self)

    def forms(self) -> bool:
        """Tell whether this process is a worker."""
        return (self._key or key_of_this_worker()) is not None

    def expect(self, service: Service) -> bool:
        """Record the service, by which groups are found that can't be told from this one."""
        self._service = service
        return self.forms()

    def _is_like(self, other: WorkerGroup) -> bool:
        """Tell whether another one can't be told from this one; one that has no path yet may come to the same."""
        service = other._service
        return self._site == other._site and service.at(service.path or self._service.path) == self._service

    def folder(self, service: Service) -> GroupFolder | None:
        """Return the folder of the group for a service.

        Of several namespaces of a process with the same service each one joins its like in the other workers: the
        one that the same call in the host's code has made. Neither the order in which they were made will do, nor
        that in which they start, because these may differ. Those that one call has made, as in a loop, join none.
        """
        self.expect(service)
        key = self._key or key_of_this_worker()
        if key is None:
            if self._needed:
                raise UnusableError(
                    "machine: this process is no worker of a supervisor that is known; give a name, machine:<name>"
                )
            return None
        if any(other is not self and self._is_like(other) for other in _MADE):
            log.warning(
                "rooms in memory: the same line makes another namespace %s in this process", service.namespace
            )
            return None
        reasons = []
        for base in folders():
            try:
                return open_folder(base, "\0".join((key, self._site, *service)))
            except UnusableError as reason:  # noqa: PERF203 - a folder or two
                reasons.append(str(reason))
        if self._needed:
            raise UnusableError(f"machine: {'; '.join(reasons)}")
        log.warning(
            "rooms in memory, because there is no folder for the workers of this machine: %s",
            "; ".join(reasons),
        )
        return None


_MADE: weakref.WeakSet[WorkerGroup] = weakref.WeakSet()


def _site() -> str:
    """Return which call of the host's code is being carried out: the same text in each worker.

    The module is named too, because multiprocessing runs a program's main file a second time, as ``__mp_main__``.
    """
    frame = sys._getframe()  # noqa: SLF001 - what `inspect.currentframe` returns, where there is one
    while frame.f_back is not None and _package(frame.f_globals.get("__name__")) == _package(__name__):
        frame = frame.f_back
    return (
        f"{frame.f_globals.get('__name__')} {frame.f_code.co_filename} {frame.f_code.co_name} {frame.f_lasti}"
    )


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]
