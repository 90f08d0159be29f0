"""The events of one peer are carried out in order, within bounds, and not after it has gone."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from hostile.services import ATTACHED, IN_PROCESS, Kind, service
from support.limits import unlimited
from support.peers import RawPeer, raw_peer
from support.waiting import becomes
from walkie_signal import Identity, Member, Settings


def frame(ack_id: int, name: str, payload: Any) -> str:
    return f"42{ack_id}{json.dumps([name, payload])}"


class Door:
    """An `authorize` that lets nobody in before it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.asked = 0

    async def authorize(self, identity: Identity, room: str) -> bool:
        if room == "free":
            return True
        self.asked += 1
        await self.opened.wait()
        return True


@pytest.mark.promise(
    "The wire",
    "Signals from one peer to another arrive in order: of 1,000 offers, none comes after its candidates",
)
@IN_PROCESS
async def test_signals_wait_for_the_join_before_them(kind: Kind) -> None:
    """Defect 22: python-socketio handles each event in a task of its own, and they overtake one another."""
    door = Door()
    async with (
        service(kind, authorize=door.authorize) as running,
        raw_peer(running.url) as ann,
        raw_peer(running.url) as bob,
    ):
        await bob.connect()
        await ann.connect()
        joining = asyncio.create_task(ann.join("slow"))
        await becomes(lambda: door.asked, 1)
        signals = [frame(n, "signal", {"targetId": ann.peer_id, "signal": n}) for n in range(100, 150)]
        await bob.send(frame(1, "join_room", {"room": "slow"}), *signals, frame(2, "leave_room", {}))
        await becomes(lambda: door.asked, 2)
        door.opened.set()
        await joining
        await bob.acked(2)
        await ann.event("peer_disconnected")
        told = [(name, payload.get("signal")) for name, payload in ann.events() if name != "room_status"]
        expected = [("signal", number) for number in range(100, 150)]
        assert told == [("new_peer", None), *expected, ("peer_disconnected", None)]
        acks = [int(text[2:].partition("[")[0]) for text in map(str, bob.heard) if text.startswith("43")]
        assert acks == [1, *range(100, 150), 2]


CALLERS, CALLS, CANDIDATES = 10, 100, 4


def call(number: int, target_id: str) -> list[str]:
    """Make the frames of a call: come in anew, offer, and name candidates, with one ack asked for, at the end."""
    signals = [f"offer {number}", *(f"candidate {number}.{n}" for n in range(CANDIDATES))]
    *first, last = [["signal", {"targetId": target_id, "signal": signal}] for signal in signals]
    events = [["leave_room", {}], ["join_room", {"room": "gate"}], *first]
    return [*(f"42{json.dumps(event)}" for event in events), f"42{number}{json.dumps(last)}"]


@pytest.mark.promise(
    "The wire",
    "Signals from one peer to another arrive in order: of 1,000 offers, none comes after its candidates",
)
@ATTACHED
async def test_of_1000_offers_none_comes_behind_a_candidate_of_its_own(kind: Kind) -> None:
    """Whatever the host's function takes for each join, and whether the caller polls or not."""
    chance = random.Random(28)  # noqa: S311 - of how long something takes

    async def authorize(identity: Identity, room: str) -> bool:
        await asyncio.sleep(chance.choice((0, 0, 0.001, 0.003)))
        return True

    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(service(kind, settings=unlimited(), authorize=authorize))
        target = await stack.enter_async_context(raw_peer(running.url))
        await target.join("gate")
        callers = [
            await stack.enter_async_context(raw_peer(running.url, "websocket" if n % 5 else "polling"))
            for n in range(CALLERS)
        ]

        async def calls(caller: RawPeer) -> None:
            await caller.connect()
            for number in range(CALLS):
                await caller.send(*call(number, target.peer_id))
                assert await caller.acked(number) == {"ok": True}

        await asyncio.gather(*map(calls, callers))
        assert await target.ask("signal", {"targetId": target.peer_id, "signal": "end"}) == {"ok": True}
        heard: dict[str, list[str]] = {caller.peer_id: [] for caller in callers}
        for name, payload in target.events():
            if (peer_id := payload.get("fromId", payload.get("peerId"))) in heard:
                heard[peer_id].append(payload.get("signal", name))
    in_order = [
        what
        for n in range(CALLS)
        for what in (
            "peer_disconnected",
            "new_peer",
            f"offer {n}",
            *(f"candidate {n}.{c}" for c in range(CANDIDATES)),
        )
    ][1:]
    assert [caller for caller in callers if heard[caller.peer_id] != in_order] == []


@IN_PROCESS
async def test_events_that_wait_are_bounded(kind: Kind) -> None:
    door = Door()
    settings = Settings(queued_events=8, callback_timeout=30)
    async with (
        service(kind, settings=settings, authorize=door.authorize) as running,
        raw_peer(running.url) as peer,
    ):
        await peer.connect()
        await peer.send(frame(1, "join_room", {"room": "slow"}))
        await becomes(lambda: door.asked, 1)
        numbers = range(100, 120)
        await peer.send(
            *(frame(n, "signal", {"targetId": peer.peer_id, "signal": n}) for n in numbers),
            '42["signal",{}]',
        )
        for number in numbers[8:]:
            error = (await peer.acked(number))["error"]
            assert error["code"] == "rate_limited"
            assert error["retryAfterMs"] > 0
        assert (await peer.event("signal_error"))["code"] == "rate_limited"
        door.opened.set()
        assert (await peer.acked(1))["ok"] is True
        assert [await peer.acked(number) for number in numbers[:8]] == [{"ok": True}] * 8
        assert [p["signal"] for name, p in peer.events() if name == "signal"] == [*numbers[:8]]


@IN_PROCESS
async def test_a_slow_function_of_the_host_holds_up_neither_pongs_nor_others(kind: Kind) -> None:
    door = Door()
    settings = Settings(ping_interval=0.2, ping_timeout=0.4, callback_timeout=30)
    async with (
        service(kind, settings=settings, authorize=door.authorize) as running,
        raw_peer(running.url) as slow,
        raw_peer(running.url) as quick,
    ):
        await slow.connect()
        await slow.send(frame(1, "join_room", {"room": "slow"}))
        await becomes(lambda: door.asked, 1)
        await quick.join("free")
        await becomes(lambda: slow.heard.count("2") > 6, expected=True, within=5)
        door.opened.set()
        assert (await slow.acked(1))["ok"] is True


@pytest.mark.promise("Bad input", "A peer that goes while it joins leaves no ghost")
@IN_PROCESS
async def test_who_goes_while_it_joins_leaves_no_ghost(kind: Kind) -> None:
    """Not in the room, and for the host's hooks it has never been there."""
    door = Door()
    hooked: list[str] = []

    async def on_join(member: Member) -> None:
        hooked.append(member.peer_id)

    async with service(kind, authorize=door.authorize, on_join=on_join) as running, AsyncExitStack() as peers:
        peace = running.state()
        for _ in range(100):
            peer = await peers.enter_async_context(raw_peer(running.url))
            await peer.connect()
            await peer.send(frame(1, "join_room", {"room": "slow"}), frame(2, "join_room", {"room": "free"}))
        await becomes(lambda: door.asked, 100)
        await peers.aclose()
        await becomes(lambda: running.state()["node"]["peers"], 0)
        door.opened.set()
        await becomes(running.state, peace)
        assert await running.signaling.rooms() == []
        assert hooked == []
        assert not running.lines()


@IN_PROCESS
async def test_who_goes_after_a_join_that_was_not_done_yet_is_undone(kind: Kind) -> None:
    """Its events before the end are carried out in order; then it is gone, and the room was told so."""
    door = Door()
    async with service(kind, authorize=door.authorize) as running, raw_peer(running.url) as witness:
        await witness.join("free")
        peace = running.state()
        async with raw_peer(running.url) as peer:
            await peer.join("free")
            await peer.send(frame(1, "join_room", {"room": "slow"}))
            await becomes(lambda: door.asked, 1)
        await becomes(lambda: running.state()["node"]["peers"], 1)
        door.opened.set()
        assert (await witness.event("peer_disconnected"))["reason"] == "disconnected"
        await becomes(running.state, peace)
        assert await running.signaling.rooms() == ["free"]
