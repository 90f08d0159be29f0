"""A user's one connection, while it is not sure yet whether a second one is let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from cluster.service import Folder
from support.links import Phone
from support.machine import named
from support.nodes import running
from support.redis import RedisServer, redis_server
from support.waiting import eventually
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.core.identity import Identity
from walkie_signal.core.own_rooms import user_room
from walkie_signal.errors import SignalingError
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings

GUARD = Identity("guard-7")


def authenticate(_credentials: object) -> Identity:
    raise AssertionError("nobody connects by it")


@asynccontextmanager
async def two(policy: str) -> AsyncIterator[tuple[RedisServer, Node, Node]]:
    """Run two nodes on one Redis server."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        settings = Settings(user_connections=policy)
        one, other = [
            await stack.enter_async_context(
                running(settings, RedisBackend(redis.url), authenticate=authenticate)
            )
            for _ in range(2)
        ]
        yield redis, one, other


async def let_in(node: Node, peer_id: str) -> Phone:
    phone = Phone(node, peer_id)
    await node.accept(phone.peer, GUARD)
    node.admit(phone.peer, GUARD)
    return phone


async def gone_for(earlier: Phone, later: Phone) -> None:
    await eventually(lambda: earlier.peer.gone, what=f"{earlier.peer.peer_id} is gone")
    assert not later.peer.gone
    assert earlier.link.texts[-1] == "41", "a stock client would come back"


async def members(node: Node) -> list[str]:
    """Return the connections of the user, as the store has them."""
    return [member.peer_id for member in await node.backend.roster(user_room("guard-7"))]


@pytest.mark.promise(
    "Many nodes",
    "A user's one connection is one on all nodes, also if two come at the same instant, if a node dies, and if the "
    "store has lost its memory",
)
async def test_nobody_is_replaced_by_one_that_is_not_let_in() -> None:
    """What is asked of a frozen Redis may be carried out when it goes on, long after the answer `unavailable`."""
    async with two("replace") as (redis, one, other):
        await gone_for(await let_in(other, "before"), first := await let_in(one, "first"))
        for number in range(4):
            redis.stop()
            try:
                with pytest.raises(SignalingError, match="unavailable"):
                    await let_in(other, f"second-{number}")
            finally:
                redis.cont()
            other.disconnect(f"second-{number}", "disconnected")
            await eventually(lambda: one.backend.ready and other.backend.ready)
            await eventually(lambda: members(one), lambda found: found == ["first"])
            assert not first.peer.gone, "it is gone for one that was not let in"
        await gone_for(first, await let_in(other, "third"))


async def test_a_connection_that_goes_before_it_is_let_in_replaces_nobody() -> None:
    async with two("replace") as (_, one, other):
        first = await let_in(one, "first")
        second = Phone(other, "second")
        asked = asyncio.create_task(other.accept(second.peer, GUARD))
        await asyncio.sleep(0)
        other.disconnect("second", "disconnected")
        await asked
        assert second.peer.gone
        await eventually(lambda: members(one), lambda found: found == ["first"])
        assert not first.peer.gone
        await gone_for(first, await let_in(other, "third"))


async def test_who_is_revoked_while_it_claims_is_not_let_in() -> None:
    async with two("replace") as (_, one, other):
        first = await let_in(one, "first")
        second = Phone(other, "second")
        asked = asyncio.create_task(other.accept(second.peer, GUARD))
        await asyncio.sleep(0)
        assert await other.orders.revoke("guard-7") == 1
        with pytest.raises(SignalingError, match="unauthorized"):
            await asked
        await eventually(lambda: first.peer.gone, what="the one that was let in is gone")
        with pytest.raises(SignalingError, match="unauthorized"):
            await let_in(one, "third")


async def test_who_came_while_a_worker_was_alone_counts_when_another_one_comes(folder: Folder) -> None:
    for policy in ("refuse", "replace"):
        settings = Settings(user_connections=policy)
        async with running(settings, named(folder.path)) as one:
            first = await let_in(one, "first")
            async with running(settings, named(folder.path)) as other:
                await eventually(lambda: one.backend.ready and other.backend.ready)
                if policy == "refuse":
                    with pytest.raises(SignalingError, match="already_connected"):
                        await let_in(other, "second")
                else:
                    await gone_for(first, await let_in(other, "third"))


@pytest.mark.promise(
    "Many nodes",
    "A revocation holds on all nodes, also on those that start later, after the store was away, and when it has "
    "lost its memory",
)
async def test_who_was_revoked_while_a_worker_was_alone_is_refused_by_those_that_come(folder: Folder) -> None:
    async with running(None, named(folder.path), authenticate=authenticate) as one:
        await one.orders.revoke("guard-7")
        async with running(None, named(folder.path), authenticate=authenticate) as other:
            await eventually(lambda: other._revocations._refuses(GUARD), what="refused there")
            with pytest.raises(SignalingError, match="unauthorized"):
                await let_in(other, "second")
