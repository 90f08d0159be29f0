"""One connection for a user, over all nodes of a service: whichever node the second one comes to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from auth.issuer import LATER, SECRET, token
from cluster.service import Store, nodes
from support.peers import RawPeer, raw_peer
from support.redis import RedisServer
from support.waiting import eventually

pytestmark = pytest.mark.promise(
    "Many nodes",
    "A user's one connection is one on all nodes, also if two come at the same instant, if a node dies, and if the "
    "store has lost its memory",
)

GUARD = {"token": token(sub="guard-7", exp=LATER)}
WATCH = {"token": token(sub="watch", exp=LATER)}


@asynccontextmanager
async def guarded(store: Store, policy: str, tmp_path: Path) -> AsyncIterator[list[Any]]:
    """Run two nodes with that policy."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    options = ("--user-connections", policy, "--jwt-secret-file", str(secret))
    async with nodes(store.url, store.url, options=options) as both:
        yield both


@asynccontextmanager
async def guards(*urls: str) -> AsyncIterator[list[RawPeer]]:
    """Open a session for each URL."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(raw_peer(url)) for url in urls]


async def enters(peer: RawPeer, auth: Any, room: str = "gate") -> dict[str, Any]:
    """Connect a peer as somebody and let it join a room; returns the answer to the connect."""
    told = await peer.connect(auth)
    assert peer.peer_id, told
    assert (await peer.enter(room))["ok"]
    return told


async def enters_at_last(peer: RawPeer, auth: Any) -> None:
    """Connect a peer once those before it have gone."""

    async def let_in() -> bool:
        await peer.connect(auth)
        return bool(peer.peer_id)

    await eventually(let_in, what="let in")


async def test_a_connection_on_another_node_takes_the_place(store: Store, tmp_path: Path) -> None:
    async with (
        guarded(store, "replace", tmp_path) as (one, two),
        guards(one.url, one.url, two.url, one.url) as (watch, first, second, third),
    ):
        await enters(watch, WATCH)
        for earlier, later in ((first, second), (second, third)):
            if not earlier.peer_id:
                await enters(earlier, GUARD)
            await enters(later, GUARD)
            await earlier.closed(within=5)
            assert "41" in earlier.heard, "a stock client would come back"
            await watch.hears("peer_disconnected", peerId=earlier.peer_id, reason="replaced")
        await watch.sees([watch.peer_id, third.peer_id])
        assert third.is_open


async def test_a_connection_on_another_node_is_refused(store: Store, tmp_path: Path) -> None:
    async with (
        guarded(store, "refuse", tmp_path) as (one, two),
        guards(one.url, one.url, two.url, two.url) as (watch, first, second, third),
    ):
        await enters(watch, WATCH)
        await enters(first, GUARD)
        refused = await second.connect(GUARD)
        assert refused["data"]["code"] == "already_connected"
        assert refused["data"]["retryAfterMs"] == 18_000
        await first.abort()
        await watch.hears("peer_disconnected", peerId=first.peer_id)
        await enters(third, GUARD)


@pytest.mark.parametrize("policy", ["replace", "refuse"])
async def test_of_two_that_come_at_the_same_instant_exactly_one_lives(
    store: Store, tmp_path: Path, policy: str
) -> None:
    async with guarded(store, policy, tmp_path) as (one, two), guards(one.url) as (watch,):
        await enters(watch, WATCH)
        for _ in range(10):
            async with guards(one.url, two.url, one.url, two.url) as rivals:
                told = await asyncio.gather(*(each.connect(GUARD) for each in rivals), return_exceptions=True)
                let_in = [peer for peer in rivals if peer.peer_id]
                for answer, peer in zip(told, rivals, strict=True):
                    if isinstance(answer, BaseException):  # it was replaced before it had its answer
                        assert peer.heard == ["41"], answer
                    elif not peer.peer_id:
                        assert answer["data"]["code"] == "already_connected", told
                assert let_in, told
                (lives,) = await eventually(
                    lambda: [peer for peer in let_in if peer.is_open],  # noqa: B023
                    lambda living: len(living) == 1,
                    "one is left",
                )
                assert (await lives.enter("gate"))["ok"]
                assert await watch.signal(lives, 1) == {"ok": True}
            await watch.sees([watch.peer_id])


@pytest.mark.parametrize("policy", ["replace", "refuse"])
async def test_the_place_of_a_dead_node_s_user_is_free(store: Store, tmp_path: Path, policy: str) -> None:
    async with (
        guarded(store, policy, tmp_path) as (one, dies),
        guards(one.url, dies.url) as (watch, first),
    ):
        await enters(watch, WATCH)
        await enters(first, GUARD)
        await watch.sees([watch.peer_id, first.peer_id])
        dies.program.send_signal(signal.SIGKILL)
        await dies.program.wait()

        async def let_in() -> bool:
            async with guards(one.url) as (again,):
                told = await again.connect(GUARD)
                assert again.peer_id or told["data"]["code"] == "already_connected", told
                return bool(again.peer_id) and bool((await again.enter("gate"))["ok"])

        await eventually(let_in, what="let in", within=25)


@pytest.mark.parametrize("policy", ["replace", "refuse"])
async def test_while_redis_is_away_what_is_known_here_counts_and_the_rest_is_said(
    redis: RedisServer, tmp_path: Path, policy: str
) -> None:
    async with (
        guarded(redis, policy, tmp_path) as (one, two),
        guards(*[two.url] * 3, *[one.url] * 3) as (before, stranger, there, first, here, late),
    ):
        if policy == "replace":
            await enters(before, GUARD)  # so that its node hears the changes, and asks at once
            await before.abort()
        await enters_at_last(first, GUARD)
        redis.stop()
        try:
            told = await asyncio.gather(here.connect(GUARD), there.connect(GUARD), stranger.connect(WATCH))
        finally:
            redis.cont()
        known = "already_connected" if policy == "refuse" else "unavailable"
        assert [each["data"]["code"] for each in told] == [known, "unavailable", "unavailable"]
        assert all(each["data"]["retryAfterMs"] > 0 for each in told)
        assert first.is_open
        assert first.peer_id

        async def let_in() -> bool:
            async with guards(two.url) as (again,):
                await again.connect(WATCH)
                return bool(again.peer_id)

        await eventually(let_in, what="let in again", within=15)
        assert first.is_open, "closed for one that was not let in"
        told_at_last = await late.connect(GUARD)
        if policy == "refuse":
            assert told_at_last["data"]["code"] == "already_connected"
        else:
            assert late.peer_id
            await first.closed(within=5)


@pytest.mark.parametrize("policy", ["replace", "refuse"])
async def test_one_is_left_if_redis_has_lost_its_memory_meanwhile(
    redis: RedisServer, tmp_path: Path, policy: str
) -> None:
    """The place seems free until the first one's node has written it back."""
    async with guarded(redis, policy, tmp_path) as (one, two), guards(one.url, two.url) as (watch, first):
        await enters(watch, WATCH)
        await enters(first, GUARD)
        one.program.send_signal(signal.SIGSTOP)
        two.program.send_signal(signal.SIGSTOP)
        await redis.command("FLUSHALL")
        one.program.send_signal(signal.SIGCONT)
        try:

            async def let_in() -> RawPeer | None:
                peer = await stack.enter_async_context(raw_peer(one.url))
                await peer.connect(GUARD)
                return peer if peer.peer_id else None

            async with AsyncExitStack() as stack:
                second = await eventually(let_in, what="let in, for nobody else is known", within=5)
                assert second is not None
                two.program.send_signal(signal.SIGCONT)
                lives, goes = (first, second) if policy == "refuse" else (second, first)
                await goes.closed(within=10)
                assert lives.is_open
                assert (await lives.enter_at_last("yard"))["ok"]
        finally:
            two.program.send_signal(signal.SIGCONT)
