"""Signals of a peer that has joined nothing yet: they wait for its first join, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.links import Phone
from support.nodes import on_the_clock, phone, running
from support.redis import redis_server
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.core.early import MOST, MOST_BYTES, WAIT
from walkie_signal.core.identity import Identity
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings

STORES = pytest.mark.parametrize(
    "count",
    [
        pytest.param(0, id="memory"),
        pytest.param(2, id="Redis, two nodes", marks=pytest.mark.programs),
    ],
)


@asynccontextmanager
async def nodes_on(count: int, **functions: Any) -> AsyncIterator[list[Node]]:
    if count == 0:
        async with running(**functions) as node:
            yield [node]
        return
    chosen = Settings(status_interval=0)
    async with (
        redis_server() as server,
        running(chosen, RedisBackend(server.url), **functions) as one,
        running(chosen, RedisBackend(server.url), **functions) as two,
    ):
        yield [one, two]


def codes(peer: Phone) -> dict[int, Any]:
    return {number: ack["ok"] or ack["error"]["code"] for number, ack in peer.link.acks().items()}


def held(node: Node) -> tuple[int, dict[Any, int]]:
    return node.census().early, on_the_clock(node, "early")


class Door:
    """An `authorize` that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    async def authorize(self, _identity: Identity, room: str) -> bool:
        if room == "free":
            return True
        self.asked.release()
        return await self.answers.get() == "in"


@pytest.mark.promise(
    "The wire", "Signals before the first join wait for it, within bounds, and each is answered once"
)
@STORES
async def test_what_was_saved_while_offline_goes_out_behind_the_first_join(count: int) -> None:
    async with nodes_on(count) as nodes:
        far = phone(nodes[-1], "far")
        await far.call("join_room", {"room": "r"})
        back = phone(nodes[0], "back")
        saved = [back.emit("signal", {"targetId": "far", "signal": n}, ack=True) for n in range(5)]
        lost = back.emit("signal", {"targetId": "nobody", "signal": 5}, ack=True)
        silent = back.emit("signal", {"targetId": "nobody"})
        assert back.link.texts == []
        joined = back.emit("join_room", {"room": "r"}, ack=True)
        later = back.emit("signal", {"targetId": "far", "signal": "later"}, ack=True)
        await far.link.until(lambda: len(far.link.events("signal")) == 6)
        assert [payload["signal"] for _, payload in far.link.events("signal")] == [*range(5), "later"]
        assert [name for name, _ in far.link.events("new_peer", "signal")] == ["new_peer", *["signal"] * 6]
        await back.link.until(lambda: len(back.link.acks()) == 8)
        assert codes(back) == {**dict.fromkeys([*saved, joined, later], True), lost: "peer_not_found"}
        assert back.link.order()[:2] == ["ack", "new_peer"]
        ((_, error),) = back.link.events("signal_error")
        assert (error["event"], error["code"], silent) == ("signal", "peer_not_found", 7)
        assert [held(node) for node in nodes] == [(0, {})] * len(nodes)


@pytest.mark.promise(
    "The wire", "Signals before the first join wait for it, within bounds, and each is answered once"
)
async def test_a_join_that_fails_leaves_them_waiting_and_one_under_way_stops_their_clock() -> None:
    door = Door()
    async with running(authorize=door.authorize) as node:
        ann, bob = phone(node, "a"), phone(node, "b")
        await bob.call("join_room", {"room": "free"})
        early = ann.emit("signal", {"targetId": "b", "signal": 1}, ack=True)
        refused = ann.emit("join_room", {"room": "shut"}, ack=True)
        await door.asked.acquire()
        await asyncio.sleep(WAIT + 0.3)
        assert ann.link.texts == [], "it waits for as long as the join takes"
        door.answers.put_nowait("out")
        await ann.peer.settled()
        assert codes(ann) == {refused: "forbidden"}
        assert (await ann.call("join_room", {"room": "free"}))["ok"]
        assert ann.link.acks()[early] == {"ok": True}
        assert bob.link.events("signal") == [("signal", {"fromId": "a", "signal": 1})]


@pytest.mark.promise(
    "The wire", "Signals before the first join wait for it, within bounds, and each is answered once"
)
async def test_who_does_not_join_in_time_is_answered_each_once_in_order() -> None:
    async with running() as node:
        ann = phone(node, "a")
        begun = asyncio.get_running_loop().time()
        numbers = [ann.emit("signal", {"targetId": "b", "signal": n}, ack=n > 0) for n in range(3)]
        await ann.link.until(lambda: len(ann.link.texts) == 3)
        assert WAIT <= asyncio.get_running_loop().time() - begun < WAIT + 2
        assert ann.link.order() == ["signal_error", "ack", "ack"]
        assert codes(ann) == dict.fromkeys(numbers[1:], "not_in_room")
        assert (await ann.call("join_room", {"room": "r"}))["ok"]
        assert len(ann.link.acks()) == 3
        assert held(node) == (0, {})


@pytest.mark.promise(
    "The wire", "Signals before the first join wait for it, within bounds, and each is answered once"
)
async def test_a_flood_is_bounded_in_number_and_in_bytes_and_goes_with_its_peer() -> None:
    async with running() as node:
        many, large = phone(node, "many"), phone(node, "large")
        for number in range(1000):
            many.emit("signal", {"targetId": "b", "signal": number}, ack=True)
        assert codes(many) == dict.fromkeys(range(MOST + 1, 1001), "not_in_room")
        for _ in range(20):
            large.emit("signal", {"targetId": "b", "signal": "x" * 60_000}, ack=True)
        fit = MOST_BYTES // 60_000
        assert codes(large) == dict.fromkeys(range(fit + 1, 21), "not_in_room")
        waiting, expiries = node._early._waiting, on_the_clock(node, "early")
        assert [len(early) for early in waiting.values()] == [MOST, fit]
        assert len(expiries) == 2
        for peer in (many, large):
            node.disconnect(peer.peer_id, "disconnected")
            peer.emit("signal", {"targetId": "b", "signal": "behind the end"})
        assert held(node) == (0, {})


async def test_who_goes_while_it_joins_sends_nothing() -> None:
    door = Door()
    async with running(authorize=door.authorize) as node:
        ann, bob = phone(node, "a"), phone(node, "b")
        bob.emit("join_room", {"room": "shut"})
        door.answers.put_nowait("in")
        await bob.peer.settled()
        ann.emit("signal", {"targetId": "b", "signal": 1})
        ann.emit("join_room", {"room": "shut"})
        await door.asked.acquire()
        ann.emit("signal", {"targetId": "b", "signal": 2})
        node.disconnect("a", "disconnected")
        door.answers.put_nowait("in")
        await ann.peer.settled()
        assert bob.link.events("signal", "new_peer") == []
        assert held(node) == (0, {})


async def test_who_has_been_in_a_room_is_answered_at_once() -> None:
    async with running() as node:
        ann = phone(node, "a")
        assert await ann.call("leave_room") == {"ok": True}
        for room in ("r", "q"):
            assert (await ann.call("join_room", {"room": room}))["ok"]
        assert await ann.call("leave_room") == {"ok": True}
        answer = await ann.call("signal", {"targetId": "a", "signal": 1})
        assert answer["error"]["code"] == "not_in_room"
        assert held(node) == (0, {})


async def test_a_wrong_one_is_refused_at_once() -> None:
    async with running() as node:
        ann = phone(node, "a")
        assert (await ann.call("signal", {"targetId": 7}))["error"]["code"] == "invalid_payload"
        assert (await ann.call("signal", {"targetId": "b", "signal": "x" * 70_000}))["error"]["code"] == (
            "payload_too_large"
        )
        assert held(node) == (0, {})
