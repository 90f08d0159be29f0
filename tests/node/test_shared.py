"""Nodes on one Redis: what their peers and their hosts are told when something goes wrong in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest

from support.links import Phone
from support.nodes import phone, running
from support.redis import RedisServer, redis_server
from support.waiting import eventually
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.core.changes import Member
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings

pytestmark = pytest.mark.programs

ODD = ["a b", 'a "b" \\ /', "\x00", "a\u2028b", "\n", "🙂" * 64, "{}", "", "*"]
ROOMS = ["a b", "a\nb", "{", "}", "{}{", "a:b", "🙂" * 128, "\x00", "\u2028"]


class Told:
    """What a host is told by its hooks, of all nodes."""

    def __init__(self) -> None:
        self.all: list[tuple[str, ...]] = []

    async def on_join(self, member: Member) -> None:
        self.all.append(("join", member.peer_id, member.room))

    async def on_leave(self, member: Member, reason: str) -> None:
        self.all.append(("leave", member.peer_id, member.room, reason))


@asynccontextmanager
async def service(count: int = 2, **settings: Any) -> AsyncIterator[tuple[RedisServer, list[Node], Told]]:
    """Run nodes on one Redis server."""
    told = Told()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server())
        nodes = [
            await stack.enter_async_context(
                running(
                    Settings(status_interval=0, **settings),
                    RedisBackend(server.url),
                    on_join=told.on_join,
                    on_leave=told.on_leave,
                )
            )
            for _ in range(count)
        ]
        assert all(node.ready for node in nodes)
        yield server, nodes, told


def heard(connected: Phone, event: str) -> bool:
    return bool(connected.link.events(event))


def acks(connected: Phone) -> list[str]:
    """Return the ids of the events that were answered, each as often as it was."""
    return sorted(text[2:].partition("[")[0] for text in connected.link.texts if text.startswith("43"))


async def test_odd_names_come_through_as_they_are() -> None:
    async with service() as (_, (one, two), _):
        for number, room in enumerate(ROOMS):
            near, far = phone(one, f"n{number}"), phone(two, f"f{number}")
            odd = ODD[number]
            told = {"room": room, "role": odd, "userId": odd}
            assert (await near.call("join_room", told))["ok"]
            ack = await far.call("join_room", told)
            assert [(each["role"], each["userId"]) for each in ack["peers"]] == [(odd, odd)]
            await near.link.until(partial(heard, near, "new_peer"))
            (new,) = near.link.events("new_peer")
            assert (new[1]["role"], new[1]["userId"], new[1]["room"]) == (odd, odd, room)
            far.emit("signal", {"targetId": near.peer_id, "signal": odd})
            await near.link.until(partial(heard, near, "signal"))
            assert near.link.events("signal") == [("signal", {"fromId": far.peer_id, "signal": odd})]
            assert await one.orders.send(odd, "hello", odd) == 2
            await far.link.until(partial(heard, far, "hello"))
        assert await one.orders.rooms() == sorted(ROOMS)


async def test_a_join_that_came_to_pass_though_it_was_refused_leaves_nothing_behind() -> None:
    async with service() as (server, (one, two), told):
        stays, far = phone(one, "stays"), phone(two, "far")
        for each in (stays, far):
            await each.call("join_room", {"room": "r"})
        late = phone(one, "late")
        joining = asyncio.create_task(late.call("join_room", {"room": "r"}))
        await asyncio.sleep(0)  # it is on its way
        server.stop()
        assert (await joining)["error"]["code"] == "unavailable"
        server.cont()
        ack = await again(late, "q")
        assert ack["peers"] == []
        assert {member.peer_id for member in await two.orders.roster("r")} == {"stays", "far"}
        assert len(acks(late)) == len(set(acks(late)))
        of_r = [each[0] for each in told.all if each[1:3] == ("late", "r")]
        assert of_r in ([], ["join", "leave"])
        assert stays.link.events("peer_disconnected") == [
            ("peer_disconnected", {**payload, "peerId": "late"})
            for _, payload in stays.link.events("peer_disconnected")
        ]


async def again(connected: Phone, room: str, within: float = 10.0) -> Any:
    """Join as soon as that can be done."""
    return await eventually(
        lambda: connected.call("join_room", {"room": room}), lambda ack: ack["ok"], "joined", within=within
    )


async def test_a_host_is_told_once_of_a_leave_that_redis_refused() -> None:
    async with AsyncExitStack() as stack:
        server, (one, two), told = await stack.enter_async_context(service())
        near, far = phone(one, "near"), phone(two, "far")
        for each in (near, far):
            await each.call("join_room", {"room": "r"})
        await server.command("CONFIG", "SET", "min-replicas-to-write", 1)
        assert await near.call("leave_room", {}) == {"ok": True}
        await server.command("CONFIG", "SET", "min-replicas-to-write", 0)
        await one.close()
        await far.link.until(lambda: bool(far.link.events("peer_disconnected")))
    assert [each for each in told.all if each[1] == "near"] == [
        ("join", "near", "r"),
        ("leave", "near", "r", "left"),
    ]


async def test_a_node_that_is_fenced_sends_its_peers_away_and_answers_each_once() -> None:
    async with service() as (server, (one, two), told):
        backend = one.backend
        assert isinstance(backend, RedisBackend)
        near, far, joining = phone(one, "near"), phone(two, "far"), phone(one, "joining")
        for each in (near, far):
            await each.call("join_room", {"room": "r"})
        server.stop()
        joining.emit("join_room", {"room": "r"}, ack=True)
        near.emit("signal", {"targetId": "far", "signal": 1}, ack=True)
        for _ in range(3):
            await asyncio.sleep(0)
        backend._fence()
        backend._fence()
        server.cont()
        await far.link.until(lambda: bool(far.link.events("peer_disconnected")))
        for each in (near, joining):
            await each.peer.settled()
            assert each.link.closed
            assert len(each.link.events("server_draining")) == 1
            assert len(acks(each)) == len(set(acks(each)))
        assert far.link.events("peer_disconnected")[0][1]["reason"] == "node_lost"
        assert (await again(phone(one, "back"), "r"))["peers"][0]["peerId"] == "far"
        assert {member.peer_id for member in await two.orders.roster("r")} == {"far", "back"}
        assert [each[0] for each in told.all if each[1] == "near"] == ["join", "leave"]
        assert [each[0] for each in told.all if each[1] == "joining"] in ([], ["join", "leave"])


async def test_the_first_of_a_room_on_a_node_is_told_the_roster_at_once() -> None:
    """That the node has just read the roster is no reason to wait: nobody here was told of it."""
    slowly = Settings(status_interval=30)
    async with (
        redis_server() as server,
        running(slowly, RedisBackend(server.url)) as one,
        running(slowly, RedisBackend(server.url)) as two,
    ):
        await phone(one, "a").call("join_room", {"room": "r"})
        b = phone(two, "b")
        await b.call("join_room", {"room": "r"})
        await b.link.until(lambda: heard(b, "room_status"))
        ((_, told),) = b.link.events("room_status")
        assert [member["peerId"] for member in told["members"]] == ["a", "b"]
