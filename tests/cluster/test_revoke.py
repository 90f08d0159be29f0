"""A revoked user, on all nodes of a service: those of now, those that start later, and while the store is away."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from auth.issuer import SECRET, token
from cluster.service import Store, nodes
from support.peers import RawPeer, raw_peer
from support.redis import RedisServer
from support.servers import Serving, hosted
from support.waiting import eventually
from walkie_signal import AsyncEmitter, Emitter, JWTAuth, SignalingError, attach
from walkie_signal.core.own_rooms import REVOCATIONS_ROOM
from walkie_signal.core.revocations import digest_of, shelf_of

pytestmark = pytest.mark.promise(
    "Many nodes",
    "A revocation holds on all nodes, also on those that start later, after the store was away, and when it has "
    "lost its memory",
)


def shown(seconds: float = -60, **claims: Any) -> dict[str, Any]:
    """Return a token that was issued so many seconds from now."""
    return {"token": token(iat=time.time() + seconds, **claims)}


@asynccontextmanager
async def host(store: Store) -> AsyncIterator[Any]:
    """Run a host's app as a node; yields its URL and its namespace."""
    app: Any = attach(FastAPI(), backend=store.url, authenticate=JWTAuth(secret=SECRET))
    async with hosted(app) as url:
        await eventually(lambda: app.signaling.ready, what="ready")
        yield url, app.signaling


@asynccontextmanager
async def commands(store: Store, tmp_path: Path, count: int = 1) -> AsyncIterator[list[Serving]]:
    """Run nodes of the command beside it."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    async with nodes(*[store.url] * count, options=("--jwt-secret-file", str(secret))) as some:
        yield some


@asynccontextmanager
async def guards(*urls: str, room: str = "gate", **claims: Any) -> AsyncIterator[list[RawPeer]]:
    """Let a peer with an earlier token join a room at each URL."""
    async with AsyncExitStack() as stack:
        some = [await stack.enter_async_context(raw_peer(url)) for url in urls]
        for each in some:
            told = await each.connect(shown(**claims))
            assert each.peer_id, told
            assert (await each.enter(room))["ok"]
        yield some


async def is_refused(url: str, seconds: float = -60) -> bool:
    """Tell whether a token of the user is refused at a node."""
    async with raw_peer(url) as peer:
        try:
            told = await peer.connect(shown(seconds))
        except AssertionError:
            assert peer.heard == ["41"], "neither let in nor refused"  # the node has just heard of it
            return True
        assert peer.peer_id or told["data"]["code"] == "unauthorized", told
        return not peer.peer_id


async def become_refused(*urls: str) -> None:
    """Wait until each node knows of the revocation."""
    for url in urls:
        await eventually(lambda: is_refused(url), what=f"refused at {url}")  # noqa: B023


async def test_connections_of_all_nodes_are_closed_and_tokens_refused(store: Store, tmp_path: Path) -> None:
    async with (
        host(store) as (here, signaling),
        commands(store, tmp_path, 2) as (one, two),
        guards(here, sub="watch") as (watch,),
        guards(here, one.url, two.url) as closed,
    ):
        assert await signaling.revoke("guard-7") == 3
        for each in closed:
            await each.closed(within=5)
            assert "41" in each.heard, "a stock client would come back"
            await watch.hears("peer_disconnected", peerId=each.peer_id, reason="kicked")
        for url in (here, one.url, two.url):
            assert await is_refused(url)
            assert not await is_refused(url, seconds=1)
        assert watch.is_open


async def test_a_node_that_starts_later_knows(store: Store, tmp_path: Path) -> None:
    """Also when who revoked is gone."""
    async with commands(store, tmp_path) as (stays,):
        async with host(store) as (_, signaling):
            await signaling.revoke("guard-7")
        async with commands(store, tmp_path) as (later,):
            assert await is_refused(later.url)
            stays.program.send_signal(signal.SIGKILL)
            await stays.program.wait()
            async with commands(store, tmp_path) as (last,):
                await become_refused(last.url, later.url)


async def test_redis_keeps_it_while_there_is_no_node(redis: RedisServer) -> None:
    async with host(redis) as (_, signaling):
        await signaling.revoke("guard-7")
    async with host(redis) as (url, _):
        assert await is_refused(url)


async def test_whoever_knows_tells_a_store_that_has_lost_its_memory(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with commands(redis, tmp_path) as (stays,):
        async with host(redis) as (_, signaling):
            await signaling.revoke("guard-7")
        await become_refused(stays.url)
        await redis.command("FLUSHALL")

        async def a_later_node_knows() -> bool:
            async with host(redis) as (url, _):
                return await is_refused(url)

        await eventually(a_later_node_knows, what="written back")


async def test_while_redis_is_away_it_holds_here_and_is_told_afterwards(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with (
        host(redis) as (here, signaling),
        commands(redis, tmp_path) as (other,),
        guards(here) as (near,),
        guards(other.url) as (far,),
    ):
        redis.stop()
        try:
            with pytest.raises(SignalingError, match="unavailable") as raised:
                await asyncio.wait_for(signaling.revoke("guard-7"), 5)
            assert raised.value.details["closed"] == 1
            assert raised.value.details["retryAfterMs"] > 0
            await near.closed(within=5)
            assert await is_refused(here)
            assert far.is_open
            assert not await is_refused(other.url), "there is nobody who could have told it"
        finally:
            redis.cont()
        await far.closed(within=15)
        await become_refused(other.url)


async def test_a_process_that_serves_nobody_can_revoke(store: Store, tmp_path: Path) -> None:
    async with (
        commands(store, tmp_path, 2) as (one, two),
        guards(one.url, two.url) as both,
        guards(one.url, sub="watch") as (watch,),
    ):
        async with AsyncEmitter(store.url) as emitter:
            assert await emitter.revoke("guard-7") == 2
            for each in both:
                await each.closed(within=5)
                await watch.hears("peer_disconnected", peerId=each.peer_id, reason="kicked")
            with pytest.raises(ValueError, match="not a user id"):
                await emitter.revoke(None)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="closed"):
            await emitter.revoke("guard-7")
        with Emitter(store.url) as emitter_that_blocks:
            assert await asyncio.to_thread(emitter_that_blocks.revoke, "watch") == 1
        await watch.closed(within=5)
        await become_refused(one.url, two.url)


async def test_what_is_no_table_is_told_once_and_written_anew(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = shelf_of(digest_of("guard-7"))
    async with host(redis) as (_, signaling), host(redis) as (other, _):
        await signaling.revoke("guard-7")
        right = await signaling.backend.read(REVOCATIONS_ROOM, shelf)
        await signaling.backend.swap(REVOCATIONS_ROOM, shelf, right.version, "not of ours")
        await eventually(
            lambda: signaling.backend.read(REVOCATIONS_ROOM, shelf), lambda value: value.text == right.text
        )
        assert "the revocations in the store can't be read" in caplog.text
        assert await is_refused(other)


async def test_many_at_once_cost_few_changes_and_none_is_lost(store: Store, tmp_path: Path) -> None:
    async with host(store) as (_, signaling), commands(store, tmp_path) as (other,):
        await asyncio.gather(*(signaling.revoke(f"guard-{number}") for number in range(500)))
        assert signaling._node._revocations._owed == set()
        kept = [await signaling.backend.read(REVOCATIONS_ROOM, shelf) for shelf in "aA0"]
        assert all(each.text.startswith("{") for each in kept)
        await become_refused(other.url)
