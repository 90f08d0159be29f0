"""What a host has to beware of on a stock server, and on ours has not: its own locks, and the wall clock."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import socketio

from support.raw import Raw, RawSocket
from support.waiting import eventually
from transport.serving import serving
from walkie_signal.transport import create_server

PINGS: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 0.3}


class LockingHost:
    """A host with one lock, which its event and its disconnect handler take, as for a table of its own."""

    def __init__(self, sio: Any) -> None:
        self.sio = sio
        self.lock = asyncio.Lock()
        self.done = asyncio.Event()
        self.working: asyncio.Task[Any] | None = None
        self.reasons: list[str] = []
        sio.on("tell", self.tell)
        sio.on("disconnect", self.disconnect)

    async def tell(self, sid: str) -> None:
        self.working = asyncio.current_task()
        async with self.lock:
            time.sleep(2 * PINGS["ping_timeout"])  # noqa: ASYNC251 - till a pong is overdue that nobody saw to
            await self.sio.emit("news")
        self.done.set()

    async def disconnect(self, sid: str, reason: str) -> None:
        async with self.lock:
            self.reasons.append(reason)


async def pinged(socket: RawSocket) -> None:
    """Wait until a pong is owed."""
    while await socket.receive() != "2":
        pass


@pytest.mark.promise(
    "The transport",
    "An emit never runs a `disconnect`; a step of the wall clock neither drops nor keeps a peer",
)
@pytest.mark.usefixtures("_each_websocket_class")
async def test_who_holds_a_lock_may_emit_to_a_peer_that_is_dead() -> None:
    host = LockingHost(create_server(**PINGS))
    async with serving(host.sio) as client, client.joined() as lively, client.joined() as dead:
        await pinged(dead)
        await lively.send("3", '42["tell"]')
        await asyncio.wait_for(host.done.wait(), 2)
        await dead.closed(2, ponging=False)
        await eventually(lambda: host.reasons, lambda reasons: reasons == ["ping timeout"])
        assert await lively.message() == '42["news"]'


@pytest.mark.promise(
    "The transport",
    "A stock server runs `disconnect` within an emit and drops peers at a step of the clock, as the docs say",
)
async def test_on_a_stock_server_who_holds_a_lock_may_not() -> None:
    """Defect 17: it calls the disconnect handler of the one that is dead within `emit`."""
    host = LockingHost(socketio.AsyncServer(async_mode="asgi", **PINGS))
    async with serving(host.sio) as client, client.joined() as lively, client.joined() as dead:
        await pinged(dead)
        await lively.send("3", '42["tell"]')
        await eventually(lambda: host.working)
        assert host.working is not None
        _, pending = await asyncio.wait({host.working}, timeout=1)
        assert pending, "it does not wait for itself any more: the docs say so"
        assert host.lock.locked()
        assert host.reasons == []
        host.working.cancel()
        await asyncio.wait({host.working})


async def _step(client: Raw, sio: Any, seconds: float, patch: pytest.MonkeyPatch) -> list[str]:
    """Step the wall clock while a lively and a silent peer owe a pong; returns who is gone soon after."""
    async with client.joined() as lively, client.joined() as silent:
        await pinged(silent)
        await pinged(lively)
        now = time.time
        patch.setattr(time, "time", lambda: now() + seconds)
        await sio.emit("news")
        await lively.send("3")
        closing = {
            asyncio.create_task(lively.closed(5), name="lively"),
            asyncio.create_task(silent.closed(5, ponging=False), name="silent"),
        }
        done, pending = await asyncio.wait(closing, timeout=2 * sum(PINGS.values()))
        for task in pending:
            task.cancel()
        await asyncio.wait(closing)
        return sorted(task.get_name() for task in done)


@pytest.mark.promise(
    "The transport",
    "An emit never runs a `disconnect`; a step of the wall clock neither drops nor keeps a peer",
)
@pytest.mark.usefixtures("_each_websocket_class")
@pytest.mark.parametrize("hours", [1, -1])
async def test_a_step_of_the_wall_clock_drops_nobody_and_keeps_nobody(
    hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sio = create_server(**PINGS)
    async with serving(sio) as client:
        assert await _step(client, sio, hours * 3600, monkeypatch) == ["silent"]


@pytest.mark.promise(
    "The transport",
    "A stock server runs `disconnect` within an emit and drops peers at a step of the clock, as the docs say",
)
async def test_on_a_stock_server_a_step_forward_drops_who_owes_a_pong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Defect 18: python-engineio takes the time of a ping from the wall clock."""
    sio = socketio.AsyncServer(async_mode="asgi", **PINGS)
    async with serving(sio) as client:
        assert await _step(client, sio, 3600, monkeypatch) == ["lively", "silent"]
