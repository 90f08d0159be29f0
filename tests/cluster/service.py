"""Nodes of one service, and what their store holds of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.limits import arguments_of, unlimited
from support.peers import RawPeer
from support.redis import RedisServer
from support.servers import Serving, serve
from support.sites import KeptSite
from support.waiting import eventually
from walkie_signal.backends.machine import MachineBackend
from walkie_signal.backends.machine.groups import NamedGroup
from walkie_signal.core.emits import is_stored_name

BASE = "walkie-signal:/"
"""What each key and channel begins with, the namespace included."""

ROOM = f"{BASE}:room:"


@dataclass(frozen=True)
class Folder:
    """The folder of processes that share rooms with no Redis.

    Attributes:
        path: Where they meet; nobody else does.
    """

    path: Path

    @property
    def url(self) -> str:
        """What to give to a node as its backend."""
        return f"machine:{self.path}"


Store = RedisServer | Folder
"""What nodes share; its `url` is what to give to each of them."""


@asynccontextmanager
async def nodes(*backends: str, options: Iterable[str] = ()) -> AsyncIterator[list[Serving]]:
    """Run a node of ``walkie-signal serve`` for each backend, the first one before the others.

    What one peer may do has no limit there, because a few peers of a test do the work of many.
    """
    given = [*arguments_of(unlimited()), *options]
    async with AsyncExitStack() as stack:
        starting = [
            stack.enter_async_context(serve("--backend", backend, "--log-level", "debug", *given))
            for backend in backends
        ]
        yield [await starting[0], *await asyncio.gather(*starting[1:])]


async def rosters(store: Store) -> dict[str, dict[str, str]]:
    """Return the members of each room of signaling as the store keeps them, each with its node."""
    if isinstance(store, Folder):
        async with _observer(store) as backend:
            rooms = await backend.rooms()
            return {room: {each.peer_id: each.node for each in await backend.roster(room)} for room in rooms}
    found = {}
    for key in await store.keys(f"{ROOM}*"):
        fields = await store.command("HGETALL", key)
        members = {peer: value.split(" ", 2)[1] for peer, value in fields.items() if peer}
        found[key.removeprefix(ROOM)[1:-1]] = members
    return {room: members for room, members in found.items() if not is_stored_name(room)}


@asynccontextmanager
async def _observer(folder: Folder) -> AsyncIterator[MachineBackend]:
    """Be a node without members for a moment."""
    backend = MachineBackend(NamedGroup(str(folder.path)))
    await backend.start(KeptSite())
    try:
        await eventually(lambda: backend.ready, what="somebody keeps the rooms")
        yield backend
    finally:
        await backend.close()


async def holders(store: Store, *peers: RawPeer) -> dict[str, str]:
    """Tell which node serves each URL; fails unless each of the peers is held by its own URL's node."""
    kept = await rosters(store)
    found: dict[str, str] = {}
    for peer in peers:
        node = kept.get(peer.room, {}).get(peer.peer_id)
        assert node is not None, f"{peer.peer_id} is not in {kept}"
        assert found.setdefault(peer.url, node) == node, f"two nodes at {peer.url}"
    assert len(set(found.values())) == len({peer.url for peer in peers}), f"one node at two URLs: {found}"
    return found


async def contents(store: Store) -> dict[str, str]:
    """Return all that the store holds: each key's value as text, or the text of each file."""
    if isinstance(store, Folder):
        return {str(each): _text_of(each) for each in sorted(store.path.rglob("*"))}
    reads = {
        "hash": ("HGETALL",),
        "set": ("SMEMBERS",),
        "string": ("GET",),
        "zset": ("ZRANGE", 0, -1),
        "list": ("LRANGE", 0, -1),
    }
    found = {}
    for key in await store.keys():
        read = reads.get(await store.command("TYPE", key))
        if read is not None:  # else it has gone since
            found[key] = str(await store.command(read[0], key, *read[1:]))
    return found


def _text_of(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


async def traces(store: Store, *marks: str) -> dict[str, str]:
    """Return what has one of the marks in its name or value: the id of a node, or of a peer."""
    found = await contents(store)
    if isinstance(store, Folder):
        found.update((room, str(members)) for room, members in (await rosters(store)).items())
    return {key: value for key, value in found.items() if any(mark in f"{key} {value}" for mark in marks)}


async def quiet(seconds: float) -> None:
    """Leave time for what must not happen."""
    await asyncio.sleep(seconds)
