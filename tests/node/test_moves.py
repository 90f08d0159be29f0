"""A move is one step for who moves: from its ack on nothing of the old room reaches it, on every store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from node.test_shared import Told, service
from support.links import KeptLink, Phone
from support.nodes import phone, running
from support.redis import RedisServer
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings

ROUNDS = 40

STORES = pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(0, id="memory"),
        pytest.param(1, id="Redis, one node", marks=pytest.mark.programs),
        pytest.param(2, id="Redis, two nodes", marks=pytest.mark.programs),
    ],
)


@asynccontextmanager
async def nodes_on(count: int) -> AsyncIterator[list[Node]]:
    """Run nodes on one Redis server, or with 0 one that keeps rooms in its memory."""
    async with AsyncExitStack() as stack:
        if count:
            _, nodes, _ = await stack.enter_async_context(service(count))
        else:
            nodes = [await stack.enter_async_context(running(Settings(status_interval=0)))]
        yield nodes


def ledger(connected: Phone) -> set[str]:
    """Return whom a peer takes to be there, by nothing but `peerId`: so do clients of the legacy server."""
    known: set[str] = set()
    for name, payload in connected.link.events("new_peer", "peer_disconnected"):
        (known.add if name == "new_peer" else known.discard)(payload["peerId"])
    return known


def strays(connected: Phone) -> list[str]:
    """Return what a peer was told of a room after the ack of a move out of it."""
    room, found = "", []
    for text in connected.link.texts:
        payload = json.loads(text[text.index("[") :])[-1]
        if text.startswith("43"):
            room = payload.get("room", room)
        elif payload.get("room", room) != room:
            found.append(f"in {room}: {text}")
    return found


@pytest.mark.promise(
    "The wire",
    "A move is one step for the peer that moves, on every store: a group that changes rooms together keeps "
    "its peers, and after its ack a peer hears nothing of the old room, however the leave goes",
)
@STORES
async def test_a_group_that_changes_rooms_together_keeps_its_peers(nodes: int) -> None:
    async with nodes_on(nodes) as running_nodes:
        group = [phone(running_nodes[n % len(running_nodes)], peer_id) for n, peer_id in enumerate("abcd")]
        for number in range(ROUNDS):
            for peer in group:
                peer.emit("join_room", {"room": f"r{number}"}, ack=True)
            for peer in group:
                others = {each.peer_id for each in group} - {peer.peer_id}
                await peer.peer.settled()
                await peer.link.until(partial(lambda one, rest: ledger(one) == rest, peer, others))
        await asyncio.gather(*(told_by(peer, group) for peer in group))
        assert [strays(peer) for peer in group] == [[]] * 4
        assert [ledger(peer) for peer in group] == [
            {each.peer_id for each in group} - {peer.peer_id} for peer in group
        ]


async def told_by(connected: Phone, others: list[Phone]) -> None:
    """Wait until a signal from each other one has come, and whatever the nodes sent one another before it."""
    for each in others:
        each.emit("signal", {"targetId": connected.peer_id, "signal": "last"})
    await connected.link.until(lambda: len(connected.link.events("signal")) == len(others))


class Stopping(KeptLink):
    """A link that does something in the turn in which its peer's move is acked."""

    def __init__(self) -> None:
        super().__init__()
        self.on_move: Callable[[], None] | None = None

    def send(self, text: str) -> None:
        super().send(text)
        if text.startswith("43") and self.on_move is not None:
            self.on_move()
            self.on_move = None


class Half:
    """A peer whose move out of ``r`` into ``q`` is half done: Redis stands still before it hears of the leave."""

    def __init__(self, server: RedisServer, nodes: list[Node], told: Told) -> None:
        self.server, self.nodes, self.told = server, nodes, told
        self.near, self.far = phone(nodes[0], "near"), phone(nodes[1], "far")
        self.link = Stopping()
        self.mover = Phone(nodes[0], "mover", self.link)

    async def begin(self) -> None:
        self.nodes[0].admit(self.mover.peer, None)
        for each in (self.near, self.far, self.mover):
            await each.call("join_room", {"room": "r"})
        await self.far.link.until(lambda: ledger(self.far) == {"near", "mover"})
        await self.mover.link.until(lambda: ledger(self.mover) == {"near", "far"})
        self.link.on_move = self.server.stop
        moved = self.mover.emit("join_room", {"room": "q"}, ack=True)
        await self.link.until(lambda: moved in self.link.acks())
        assert not self.mover.peer.idle, "its leave is under way"

    async def end(self, *, left: bool = True) -> None:
        """Let Redis go on, and wait until the other node has heard how it went."""
        self.server.cont()
        await self.mover.peer.settled()
        await self.far.link.until(lambda: bool(gone(self.far)) == left)

    async def hooks(self) -> list[tuple[str, ...]]:
        for node in self.nodes:
            await node._hooks.settled()
        return [each for each in self.told.all if each[1] == "mover"]


def gone(connected: Phone) -> list[Any]:
    return [
        payload for _, payload in connected.link.events("peer_disconnected") if payload["peerId"] == "mover"
    ]


@asynccontextmanager
async def half_done() -> AsyncIterator[Half]:
    async with service(2) as (server, nodes, told):
        half = Half(server, nodes, told)
        await half.begin()
        yield half
        server.cont()


MOVED = [("join", "mover", "r"), ("join", "mover", "q"), ("leave", "mover", "r", "left")]


@pytest.mark.promise(
    "The wire",
    "A move is one step for the peer that moves, on every store: a group that changes rooms together keeps "
    "its peers, and after its ack a peer hears nothing of the old room, however the leave goes",
)
@pytest.mark.programs
async def test_while_the_leave_is_under_way_nothing_of_the_room_reaches_who_has_moved() -> None:
    async with half_done() as half:
        answer = await half.near.call("signal", {"targetId": "mover", "signal": 1})
        assert answer["error"]["code"] == "peer_not_found"
        half.nodes[0]._site.hand_over("r", "mover", '42["signal",{"room":"r"}]')  # it was on its way
        assert await half.near.call("leave_room") == {"ok": True}, "made up for, when Redis is back"
        await half.end()
        assert strays(half.mover) == []
        assert len(gone(half.far)) == 1
        assert await half.hooks() == MOVED


@pytest.mark.promise(
    "The wire",
    "A move is one step for the peer that moves, on every store: a group that changes rooms together keeps "
    "its peers, and after its ack a peer hears nothing of the old room, however the leave goes",
)
@pytest.mark.programs
async def test_a_leave_that_fails_is_made_up_for_and_told_once() -> None:
    async with half_done() as half:
        await half.mover.peer.settled()  # Redis has not answered in time
        assert len(gone(half.near)) == 1
        assert ledger(half.far) == {"near", "mover"}
        await half.end()
        await half.mover.call("signal", {"targetId": "mover", "signal": 1})
        assert strays(half.mover) == []
        assert [len(gone(each)) for each in (half.near, half.far)] == [1, 1]
        assert [member.peer_id for member in await half.nodes[1].orders.roster("r")] == ["near", "far"]
        assert await half.hooks() == MOVED


@pytest.mark.promise(
    "The wire",
    "A move is one step for the peer that moves, on every store: a group that changes rooms together keeps "
    "its peers, and after its ack a peer hears nothing of the old room, however the leave goes",
)
@pytest.mark.programs
async def test_who_comes_back_while_its_leave_is_under_way_is_there() -> None:
    async with half_done() as half:
        back = half.mover.emit("join_room", {"room": "r"}, ack=True)
        await half.end()
        assert half.link.acks()[back]["ok"], half.link.acks()[back]
        assert strays(half.mover) == []
        await half.far.link.until(lambda: ledger(half.far) == {"near", "mover"})
        assert ledger(half.near) == {"far", "mover"}
        assert (await half.hooks())[-2:] == [("join", "mover", "r"), ("leave", "mover", "q", "left")]
        assert await half.near.call("signal", {"targetId": "mover", "signal": 1}) == {"ok": True}


@pytest.mark.promise(
    "The wire",
    "A move is one step for the peer that moves, on every store: a group that changes rooms together keeps "
    "its peers, and after its ack a peer hears nothing of the old room, however the leave goes",
)
@pytest.mark.programs
async def test_who_goes_while_its_leave_is_under_way_is_in_no_room() -> None:
    async with half_done() as half:
        half.nodes[0].disconnect("mover", "disconnected")
        await half.end()
        assert len(gone(half.far)) == 1
        assert await half.nodes[1].orders.rooms() == ["r"]
        assert await half.hooks() == [*MOVED, ("leave", "mover", "q", "disconnected")]
        assert half.nodes[0].census().listed == 2, "the mover is"


@pytest.mark.programs
async def test_with_several_rooms_nobody_steps_out_of_one_by_joining_another() -> None:
    async with service(1, rooms_per_peer=2) as (_, (node,), _):
        ann, bob = phone(node, "a"), phone(node, "b")
        for each, room in ((ann, "r"), (bob, "r"), (ann, "q")):
            await each.call("join_room", {"room": room})
        await bob.call("join_room", {"room": "r", "role": "lead"})
        assert ann.link.events("new_peer")[-1][1]["role"] == "lead"
        assert all(one != other for one, other in pairwise(ann.link.texts))
