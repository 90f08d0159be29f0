"""What the host hears of its peers: `on_join` and `on_leave`, in order, whatever these do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from support.raw import raw
from support.servers import hosted
from support.stock import WITHIN, peers
from support.waiting import Arrivals
from walkie_signal import Member, Settings, attach


class Told:
    """The hooks of a host, which keep what they were told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, ...]] = []
        self._arrivals = Arrivals(lambda: self.all)

    def _add(self, *told: str) -> None:
        self.all.append(told)
        self._arrivals.grew()

    async def on_join(self, member: Member) -> None:
        self._add("join", member.room, str(member.user_id), str(member.role))

    async def on_leave(self, member: Member, reason: str) -> None:
        self._add("leave", member.room, str(member.user_id), reason)

    async def until(self, count: int) -> list[tuple[str, ...]]:
        await self._arrivals.until(lambda: len(self.all) >= count, f"{count} calls")
        return self.all


@pytest.mark.promise("Hosts", "Hooks are called once for each join and leave, in order")
async def test_each_way_in_and_out_is_told_once() -> None:
    told = Told()
    app = attach(FastAPI(), on_join=told.on_join, on_leave=told.on_leave)
    async with hosted(app) as url:
        async with peers(url, None, None) as (one, two):
            await one.join("gate", userId=1, role="guard")
            await one.join("gate", userId=1, role="chief")
            await one.join("yard", userId=1)
            await one.ask("leave_room", {})
            await one.join("gate", userId=1)
            await two.join("gate", userId=2)
            await one.close()
            await told.until(6)
            assert await app.signaling.kick(two.peer_id) is True
        await told.until(7)
    expected = [
        ("join", "gate", "1", "guard"),  # and not again when it was announced anew
        ("join", "yard", "1", "None"),
        ("leave", "gate", "1", "left"),
        ("leave", "yard", "1", "left"),
        ("join", "gate", "1", "None"),
        ("join", "gate", "2", "None"),
        ("leave", "gate", "1", "disconnected"),
        ("leave", "gate", "2", "kicked"),
    ]
    assert sorted(told.all) == sorted(expected)
    assert [each for each in told.all if each[2] == "1"] == [each for each in expected if each[2] == "1"]


async def test_a_silent_peer_is_told_as_a_timeout() -> None:
    told = Told()
    settings = Settings(ping_interval=0.2, ping_timeout=0.2)
    async with (
        hosted(attach(FastAPI(), on_leave=told.on_leave, settings=settings)) as url,
        raw(f"{url}/socket.io/") as client,
        client.opened() as silent,
    ):
        await silent.send("40", '42["join_room",{"room":"gate","userId":1}]')
        assert await told.until(1) == [("leave", "gate", "1", "timeout")]


@pytest.mark.promise("Hosts", "Hooks are called once for each join and leave, in order")
async def test_a_join_and_a_leave_come_in_order_however_slow_the_hooks_are() -> None:
    """Each peer's calls wait for one another; nobody else waits for them."""
    release = asyncio.Event()
    order: list[str] = []

    async def on_join(member: Member) -> None:
        if member.user_id == "slow":
            await release.wait()
        order.append(f"join {member.user_id}")

    done = asyncio.Event()

    def on_leave(member: Member, reason: str) -> None:
        order.append(f"leave {member.user_id} {reason}")
        loop.call_soon_threadsafe(done.set)

    loop = asyncio.get_running_loop()
    app = attach(FastAPI(), on_join=on_join, on_leave=on_leave, settings=Settings(callback_timeout=WITHIN))
    async with hosted(app) as url, peers(url, None, None) as (slow, quick):
        await slow.join("gate", userId="slow")
        await quick.join("gate", userId="quick")
        assert await quick.signal(slow, "nobody waits") == {"ok": True}
        await slow.hears("signal")
        gone = slow.peer_id
        await slow.close()
        await quick.hears("peer_disconnected", peerId=gone)
        release.set()
        await asyncio.wait_for(done.wait(), WITHIN)
        assert order == ["join quick", "join slow", "leave slow disconnected"]


async def test_the_change_is_ordered_before_the_hook_is_called() -> None:
    """The host finds in the room what it is told of."""
    seen: list[tuple[str, list[Any]]] = []

    async def on_join(member: Member) -> None:
        seen.append(("join", [each.user_id for each in await app.signaling.peers(member.room)]))

    async def on_leave(member: Member, _reason: str) -> None:
        seen.append(("leave", [each.user_id for each in await app.signaling.peers(member.room)]))
        left.set()

    left = asyncio.Event()
    app = attach(FastAPI(), on_join=on_join, on_leave=on_leave)
    async with hosted(app) as url, peers(url, None) as (peer,):
        await peer.join("gate", userId=1)
        await peer.ask("leave_room", {})
        await asyncio.wait_for(left.wait(), WITHIN)
        assert seen == [("join", [1]), ("leave", [])]


def raises(*_told: Any) -> None:
    raise RuntimeError("a bug of the host's")


async def raises_later(*_told: Any) -> None:
    raise RuntimeError("a bug of the host's")


async def never_returns(*_told: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("hook", "logged"),
    [(raises, "a bug of the host's"), (raises_later, "a bug of the host's"), (never_returns, "within 0.2 s")],
)
async def test_a_hook_that_fails_is_logged_and_nothing_else(
    hook: Callable[..., Any], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = attach(FastAPI(), on_join=hook, on_leave=hook, settings=Settings(callback_timeout=0.2))
    async with hosted(app) as url, peers(url, "gate", "gate") as (one, two):
        assert await one.signal(two, 1) == {"ok": True}
        assert await app.signaling.rooms() == ["gate"]
        gone = one.peer_id
        await one.close()
        await two.hears("peer_disconnected", peerId=gone)
    assert "on_join failed" in caplog.text
    assert "on_leave failed" in caplog.text
    assert logged in caplog.text


async def test_a_sync_hook_runs_in_a_thread() -> None:
    threads: set[int] = set()
    done = threading.Event()

    def on_join(_member: Member) -> None:
        threads.add(threading.get_ident())
        done.set()

    async with hosted(attach(FastAPI(), on_join=on_join)) as url, peers(url, "gate"):
        await asyncio.to_thread(done.wait, WITHIN)
    assert threads
    assert threading.get_ident() not in threads
