"""Tokens that end, on two nodes of a service: what the members on the other node hear, and while Redis is away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from auth.issuer import SECRET, token
from cluster.service import Store, nodes
from support.peers import RawPeer, raw_peer
from support.redis import RedisServer
from walkie_signal.node.parting import GRACE

pytestmark = pytest.mark.promise(
    "Many nodes",
    "When a token ends, the members on other nodes hear `expired`; a fresh one keeps its peer, and both also hold "
    "while the store is away",
)

SOON = 3
"""Seconds until a token ends."""

CLOSED_IN = 5
"""Seconds from then until its peer is closed."""


@asynccontextmanager
async def guarded(store: Store, tmp_path: Path) -> AsyncIterator[list[Any]]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    options = ("--jwt-secret-file", str(secret), "--jwt-leeway", "0")
    async with nodes(store.url, store.url, options=options) as both:
        yield both


def ending(sub: str = "guard-7", **more: Any) -> tuple[float, dict[str, Any]]:
    """Return when a token ends, and the token."""
    end = int(time.time()) + SOON
    return end, {"token": token(sub=sub, exp=end, **more)}


async def entered(stack: AsyncExitStack, url: str, auth: Any) -> RawPeer:
    peer = await stack.enter_async_context(raw_peer(url))
    assert "sid" in await peer.connect(auth)
    assert (await peer.enter("gate"))["ok"]
    return peer


async def test_who_shows_no_fresh_token_is_closed_and_who_does_stays(store: Store, tmp_path: Path) -> None:
    async with guarded(store, tmp_path) as (one, two), AsyncExitStack() as stack:
        watch = await entered(stack, two.url, {"token": token(sub="watch")})
        end, auth = ending()
        goes = await entered(stack, one.url, auth)
        stays = await entered(stack, one.url, auth)
        moves = await entered(stack, one.url, auth)
        await watch.sees([watch.peer_id, goes.peer_id, stays.peer_id, moves.peer_id])
        for peer in (goes, stays, moves):
            assert await peer.event("token_expired", within=SOON + 2) == {"graceMs": round(GRACE * 1000)}
        assert await stays.ask("refresh_token", {"token": token()}) == {"ok": True}
        assert await moves.ask("refresh_token", {"token": token(rooms=["yard"])}) == {"ok": True}
        await watch.hears("peer_disconnected", peerId=moves.peer_id, reason="left")
        await goes.closed(within=CLOSED_IN + 1)
        assert time.time() - end <= CLOSED_IN
        await watch.hears("peer_disconnected", peerId=goes.peer_id, reason="expired")
        assert await watch.signal(stays, 1) == {"ok": True}
        assert (await moves.enter("gate"))["error"]["code"] == "forbidden"
        assert (await moves.enter("yard"))["ok"]


async def test_it_ends_in_time_while_redis_is_away(redis: RedisServer, tmp_path: Path) -> None:
    """The others hear of it when Redis is back; who has shown a fresh token is still there."""
    async with guarded(redis, tmp_path) as (one, two), AsyncExitStack() as stack:
        watch = await entered(stack, two.url, {"token": token(sub="watch")})
        end, auth = ending()
        goes = await entered(stack, one.url, auth)
        stays = await entered(stack, one.url, auth)
        await watch.sees([watch.peer_id, goes.peer_id, stays.peer_id])
        redis.stop()
        try:
            assert await stays.ask("refresh_token", {"token": token()}) == {"ok": True}
            await goes.event("token_expired", within=SOON + 2)
            await goes.closed(within=CLOSED_IN + 1)
            assert time.time() - end <= CLOSED_IN
        finally:
            redis.cont()
        await watch.hears("peer_disconnected", peerId=goes.peer_id, reason="expired")
        await watch.sees([watch.peer_id, stays.peer_id])
        assert stays.is_open
