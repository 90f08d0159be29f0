"""Stock clients of a host, and the host's nodes in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import socketio

from support.stock import Whole
from support.waiting import WITHIN, Arrivals, eventually


class Listener:
    """A stock client that keeps what it hears, each event with its arguments."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(response_class=Whole)
        self.sio = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self.heard: list[tuple[Any, ...]] = []
        self._arrivals = Arrivals(lambda: self.heard)
        self.sio.on("*", self._hear)

    def _hear(self, *event: Any) -> None:
        self.heard.append(event)
        self._arrivals.grew()

    async def close(self) -> None:
        await self.sio.disconnect()
        await self._http.close()

    @property
    def sid(self) -> str:
        sid: str = self.sio.get_sid()
        return sid

    async def hears(self, *event: Any, within: float = WITHIN) -> None:
        """Wait for an event."""
        await self._arrivals.until(lambda: event in self.heard, f"event {event!r}", within)

    def told(self, name: str) -> list[Any]:
        """Return the data of all events of that name, in order."""
        return [event[1] for event in self.heard if event[0] == name]


@asynccontextmanager
async def listening(url: str, transport: str = "websocket", auth: Any = None) -> AsyncIterator[Listener]:
    """Connect a client until the block is left."""
    client = Listener()
    try:
        await client.sio.connect(url, transports=[transport], auth=auth)
        yield client
    finally:
        await client.close()


@dataclass
class Host:
    """One node of a host."""

    app: Any
    url: str
    clients: list[Listener]

    @property
    def sio(self) -> Any:
        return self.app.sio

    async def reaches(self, client: Listener, room: Any = None) -> None:
        """Wait until emits to a room reach a client: another node hears of the room's members a moment later."""

        async def heard() -> list[Any]:
            await self.sio.emit("probe", str(room), to=room)
            return [told for told in client.told("probe") if told == str(room)]

        await eventually(heard)

    @property
    def ready(self) -> partial[Any]:
        """A probe of whether it is ready."""
        return partial(getattr, self.app.signaling, "ready")


Two = tuple[Host, Host]


async def entered(hosts: Two, room: Any, *clients: Any) -> None:
    """Let clients of either node enter a room, and wait until the first node knows it."""
    for client in clients:
        await next(host for host in hosts if client in host.clients).sio.enter_room(client.sid, room)
    for client in clients:
        await hosts[0].reaches(client, room)


async def all_heard(host: Host, *clients: Any) -> None:
    """Wait until clients have heard all that was emitted on a node until now."""
    for client in clients:
        await host.sio.emit("mark", client.sid, to=client.sid)
    for client in clients:
        await client.hears("mark", client.sid)
