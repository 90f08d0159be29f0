"""What happens to one peer costs the same however many others there are."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from starlette.applications import Starlette

from support.waiting import becomes
from walkie_signal import Settings, attach
from walkie_signal.transport.engineio.server import ENDS

FEW, MANY = 1_000, 10_000

SETTINGS = Settings(ping_interval=1000, stall_timeout=1000, connect_timeout=1000, status_interval=0)
"""Nothing but what is counted falls due meanwhile."""

COUNTED = ("/walkie_signal/", "/socketio/", "/engineio/", "/bidict/")


class Id(str):
    """A sid of which each comparison and each look-up counts, as it does not where C searches a list."""

    __slots__ = ()
    steps = 0

    def __hash__(self) -> int:
        Id.steps += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Id.steps += 1
        return super().__eq__(other)


class Service:
    """An app that is asked by ASGI itself: 10,000 sockets are more than a process may have."""

    def __init__(self) -> None:
        self.app = attach(Starlette(), settings=SETTINGS)
        self.sio: Any = self.app.sio
        generate = self.sio.eio.generate_id
        self.sio.eio.generate_id = lambda: Id(generate())
        self.peers: list[str] = []

    async def ask(self, method: str, sid: str = "", body: str = "") -> str:
        """Make a request; returns the body of the answer."""
        query = f"EIO=4&transport=polling{f'&sid={sid}' if sid else ''}"
        scope = {
            "type": "http",
            "method": method,
            "path": "/socket.io/",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [],
            "client": ("127.0.0.1", 1),
        }
        events = [{"type": "http.request", "body": body.encode(), "more_body": False}]
        answer: list[Any] = []

        async def receive() -> Any:
            return events.pop() if events else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            answer.append(message)

        await self.app(scope, receive, send)
        assert answer[0]["status"] == 200, answer
        return b"".join(message.get("body", b"") for message in answer).decode()

    async def connect(self) -> str:
        """Open a session and join the namespace; returns its sid."""
        sid: str = json.loads((await self.ask("GET"))[1:])["sid"]
        await self.ask("POST", sid, "40")
        while "40{" not in await self.ask("GET", sid):
            pass
        self.peers.append(sid)
        return sid

    async def join(self, sid: str, room: str) -> None:
        """Join a room, with the ack fetched."""
        await self.ask("POST", sid, f'421["join_room",{{"room":"{room}"}}]')
        while "431[" not in await self.ask("GET", sid):
            pass

    async def fill(self, count: int) -> None:
        """Let peers come in rooms of two, until there are so many, and fetch all that they are told."""
        while len(self.peers) < count:
            await self.join(await self.connect(), f"room {len(self.peers) // 2}")
        for sid in self.peers:
            if self.sio.eio.sockets[sid].carrier.waiting:
                await self.ask("GET", sid)
        # its next tick sees that nothing waits
        await becomes(lambda: self.sio.eio.census().watched, 0)

    async def gone(self, sid: str) -> None:
        """Wait until nothing is left of a session."""
        while sid in self.sio.environ or sid in self.sio.eio.sockets:  # noqa: ASYNC110 - turn by turn
            await asyncio.sleep(0)


@contextmanager
def steps() -> Iterator[list[int]]:
    """Count the lines that are run, and the sids that are looked at."""
    lines = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal lines
        if not any(folder in frame.f_code.co_filename for folder in COUNTED):
            return None
        lines += what == "line"
        return trace

    counted: list[int] = []
    before, sids = sys.gettrace(), Id.steps
    sys.settrace(trace)
    try:
        yield counted
    finally:
        sys.settrace(before)
        counted.append(lines + Id.steps - sids)


async def disconnect(service: Service, sid: str) -> None:
    await service.ask("POST", sid, "41")
    await service.ask("POST", sid, "1")
    await service.gone(sid)


async def drop(service: Service, sid: str) -> None:
    connection = service.sio.eio.sockets[sid]
    connection.close(service.sio.reason.PING_TIMEOUT)
    await service.gone(sid)


async def kick(service: Service, sid: str) -> None:
    peer_id = service.sio.manager.sid_from_eio_sid(sid, "/")
    assert await service.app.signaling.kick(peer_id)
    await service.ask("GET", sid)
    await service.gone(sid)


async def many_at_once(service: Service, sid: str) -> None:
    others = [service.peers.pop(0) for _ in range(99)]
    for each in (sid, *others):
        service.sio.eio.sockets[each].close(service.sio.reason.PING_TIMEOUT)
    for each in (sid, *others):
        await service.gone(each)


DEEDS = {"goodbye": disconnect, "dropped": drop, "kicked": kick, "100 dropped at once": many_at_once}


@pytest.fixture(scope="module")
def counts() -> dict[str, list[int]]:
    """Count the steps of each deed beside few others, and beside many."""
    return asyncio.run(asyncio.wait_for(_counts(), 120))


async def _counts() -> dict[str, list[int]]:
    counts: dict[str, list[int]] = {deed: [] for deed in DEEDS}
    service = Service()
    for others in (FEW, MANY):
        await service.fill(others)
        for name, deed in DEEDS.items():
            sid = await service.connect()
            service.peers.remove(sid)
            await service.join(sid, "mine")
            with steps() as counted:
                await deed(service, sid)
            counts[name] += counted
    await service.app.signaling.close()
    for sid in service.peers:
        await service.gone(sid)
    return counts


@pytest.mark.promise(
    "The transport",
    "The end of a peer costs the same beside 1,000 others and beside 10,000; if many end at once, each "
    "turn of the loop handles only a few",
)
@pytest.mark.parametrize("deed", DEEDS)
def test_an_end_costs_the_same_beside_1000_peers_and_beside_10000(
    counts: dict[str, list[int]], deed: str
) -> None:
    """Defect 28: python-socketio looks at each peer's room, and searches lists of all who come and go."""
    few, many = counts[deed]
    assert few <= many * 1.2, counts
    assert many <= few * 1.2, counts


@pytest.mark.promise(
    "The transport",
    "The end of a peer costs the same beside 1,000 others and beside 10,000; if many end at once, each "
    "turn of the loop handles only a few",
)
async def test_of_those_who_end_at_once_few_are_done_in_a_turn() -> None:
    """Others get their turn in between: 8,000 at once would keep them waiting for a third of a second."""
    service = Service()
    told: list[str] = []
    service.sio.on("disconnect", lambda sid, reason: told.append(sid))
    await service.fill(20 * ENDS)
    for sid in service.peers:
        service.sio.eio.sockets[sid].close(service.sio.reason.PING_TIMEOUT)
    turns = [0]
    while service.sio.environ and len(turns) < 10_000:
        await asyncio.sleep(0)
        turns.append(len(told))
    in_each = [after - before for before, after in pairwise(turns)]
    assert sum(in_each) == 20 * ENDS
    assert max(in_each) <= ENDS, in_each
    await service.app.signaling.close()
