"""Workers of one machine within this process: a backend each, with what its node hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from support.sites import KeptSite
from support.waiting import eventually
from walkie_signal.backends.machine import MachineBackend
from walkie_signal.backends.machine.groups import NamedGroup
from walkie_signal.core.changes import Joined, Member

SIGNALS = 50
"""How many signals a test sends where one would not show an order or a loss."""


class Worker:
    """A backend, and what its node hears."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.site = KeptSite()
        self.answers: list[bool] = []

    async def join(self, peer_id: str) -> Member:
        """Let a peer join the room."""
        member = Member(peer_id, "r", None, None, self.backend.node_id)
        await self.backend.join(member, 100)
        return member

    def send(self, target: Member, text: object) -> None:
        """Send a signal of the peer `a` to another node's peer; keeps whether that was reached."""
        self.backend.relay(target, "a", f'42["signal",{text}]', self.answers.append)

    @property
    def stored(self) -> Any:
        """The backend of shared rooms by which it works now, with its parts."""
        return self.backend._now

    def heard(self) -> list[str]:
        """Return what its peers were sent."""
        return [text[len('42["signal",') : -1] for _, text in self.site.handed_over]


@asynccontextmanager
async def two(*backends: Any) -> AsyncIterator[tuple[Worker, Worker, Member]]:
    """Run two workers; gives the peer `a` of the first one the peer `b` of the second to talk to."""
    async with AsyncExitStack() as stack:
        one, other = map(Worker, backends)
        for worker in (one, other):
            await worker.backend.start(worker.site)
            stack.push_async_callback(worker.backend.close)
            await eventually(partial(getattr, worker.backend, "ready"))
        a, b = await one.join("a"), await other.join("b")
        await one.site.until(lambda: Joined(b) in one.site.applied)
        await other.site.until(lambda: Joined(a) in other.site.applied)
        yield one, other, b


def named(folder: Path) -> MachineBackend:
    return MachineBackend(NamedGroup(str(folder)))


def sockets_in(folder: Path) -> list[Path]:
    """Return the sockets of nodes, whose ids are their names."""
    return [path for path in folder.rglob("*.sock") if not path.name.startswith("term-")]


def socket_of(worker: Worker, folder: Path) -> Path:
    """Return the socket of a worker's node."""
    (path,) = [path for path in sockets_in(folder) if path.stem == worker.backend.node_id]
    return path


def through_the_store(worker: Worker) -> list[str]:
    """Return where those signals of a worker will be that go by the store's channel."""
    channels = worker.stored._store.channels
    send, sent = channels.send, list[str]()

    def count(route: str, message: str, answer: Any) -> None:
        sent.append(message)
        send(route, message, answer)

    channels.send = count
    return sent
